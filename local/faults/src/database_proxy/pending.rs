//! Pending faults, and the selection of those that apply to a request.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{oneshot, watch};

use super::{call::Call, fault::Fault};

/// A fault for the next requests that match.
pub(super) struct Pending {
    matcher: Matcher,
    injection: Injection,
    /// `None`: until it is removed.
    times: Option<usize>,
    injected: Injected,
}

/// The places of the parts of a request that a fault is for; none if it is not for the request.
pub(super) type Places = dyn Fn(&Call) -> Vec<usize> + Send + Sync;

enum Matcher {
    /// Writes that contain all these texts.
    Texts(Vec<String>),
    Places(Box<Places>),
}

pub(super) enum Injection {
    /// Execute the writes and withhold the responses.
    Hold(Hold),
    Plain(Fault),
}

/// The channels of withheld responses.
pub(super) struct Hold {
    /// For the first response.
    pub(super) reached: Option<oneshot::Sender<()>>,
    /// Closed to release all of them.
    pub(super) release: watch::Receiver<()>,
}

/// The requests so far that met a fault.
#[derive(Debug, Clone, Default)]
pub struct Injected(Arc<AtomicUsize>);

impl Injected {
    #[must_use]
    pub fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Pending {
    pub(super) fn once(texts: &[&str], injection: Injection) -> Self {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        let (matcher, injected) = (Matcher::Texts(texts), Injected::default());
        Self { matcher, injection, times: Some(1), injected }
    }

    pub(super) fn lasting(texts: &[&str], injection: Injection) -> Self {
        Self { times: None, ..Self::once(texts, injection) }
    }

    pub(super) fn matching(fault: Fault, times: usize, places: Box<Places>) -> Self {
        Self {
            matcher: Matcher::Places(places),
            injection: Injection::Plain(fault),
            times: Some(times),
            injected: Injected::default(),
        }
    }

    pub(super) fn injected(&self) -> Injected {
        self.injected.clone()
    }

    /// The withheld responses are released.
    fn is_released(&self) -> bool {
        matches!(&self.injection, Injection::Hold(hold) if hold.release.has_changed().is_err())
    }

    /// The places of the parts that it is for.
    fn hits(&self, call: &Call) -> Vec<usize> {
        let texts = match &self.matcher {
            Matcher::Places(places) => return places(call),
            Matcher::Texts(texts) => texts,
        };
        let writes = call.writes().into_iter();
        let writes = writes.map(|(place, write)| (place, write.to_string()));
        let holds = |text: &String| texts.iter().all(|it| text.contains(it));
        writes.filter(|(_, text)| holds(text)).map(|(place, _)| place).collect()
    }

    /// True for two faults that wait for the same texts: one request counts for one of them.
    fn is_repetition_of(&self, texts: &[String]) -> bool {
        matches!(&self.matcher, Matcher::Texts(own) if own == texts)
    }

    fn texts(&self) -> Option<&Vec<String>> {
        match &self.matcher {
            Matcher::Texts(texts) => Some(texts),
            Matcher::Places(_) => None,
        }
    }
}

/// Takes the faults that apply to a request, with the places of the affected parts.
///
/// The first fault decides the effect. Faults of the same effect on other parts are taken with it,
/// so that a request with many orders counts as an attempt for each of them.
pub(super) fn take(pending: &mut Vec<Pending>, call: &Call) -> Option<(Injection, Vec<usize>)> {
    pending.retain(|pending| !pending.is_released());
    let fault = pending.iter_mut().find(|pending| !pending.hits(call).is_empty())?;
    let effect = match &mut fault.injection {
        Injection::Plain(effect) => *effect,
        Injection::Hold(hold) => {
            fault.injected.0.fetch_add(1, Ordering::SeqCst);
            let hold = Hold { reached: hold.reached.take(), release: hold.release.clone() };
            return Some((Injection::Hold(hold), Vec::new()));
        }
    };
    let (mut places, mut taken): (Vec<usize>, Vec<Vec<String>>) = (Vec::new(), Vec::new());
    pending.retain_mut(|pending| {
        let is_same = matches!(pending.injection, Injection::Plain(it) if it == effect);
        if !is_same || taken.iter().any(|texts| pending.is_repetition_of(texts)) {
            return true;
        }
        let hits = pending.hits(call);
        if hits.is_empty() {
            return true;
        }
        places.extend(hits);
        taken.extend(pending.texts().cloned());
        pending.injected.0.fetch_add(1, Ordering::SeqCst);
        pending.times = pending.times.map(|times| times.saturating_sub(1));
        pending.times != Some(0)
    });
    places.sort_unstable();
    places.dedup();
    Some((Injection::Plain(effect), places))
}
