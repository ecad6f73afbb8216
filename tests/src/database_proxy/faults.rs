//! Pending faults, and the selection of those that apply to a request.

use tokio::sync::oneshot;

use super::writes::Write;

/// A fault for the writes that contain all its texts.
pub(super) struct Fault {
    texts: Vec<String>,
    injection: Injection,
    is_lasting: bool,
}

pub(super) enum Injection {
    /// Execute the write and withhold the response.
    Hold(Hold),
    Plain(Effect),
}

/// The channels of a withheld response.
pub(super) struct Hold {
    pub(super) reached: oneshot::Sender<()>,
    pub(super) release: oneshot::Receiver<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    LoseResponse,
    CutResponse,
    ThrottleRequest,
    ThrottleItem,
}

impl Fault {
    pub(super) fn once(texts: &[&str], injection: Injection) -> Self {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        Self { texts, injection, is_lasting: false }
    }

    pub(super) fn lasting(texts: &[&str], injection: Injection) -> Self {
        Self { is_lasting: true, ..Self::once(texts, injection) }
    }

    /// The places of the writes that contain all its texts.
    fn hits(&self, writes: &[Write]) -> Vec<usize> {
        let holds = |write: &&Write| self.texts.iter().all(|text| write.text.contains(text));
        writes.iter().filter(holds).map(|write| write.place).collect()
    }
}

/// Takes the faults that apply to a request, with the places of the affected writes.
///
/// The first fault decides the effect. Faults of the same effect on other writes are taken with it,
/// so that a request with many orders counts as an attempt for each of them.
pub(super) fn take(faults: &mut Vec<Fault>, writes: &[Write]) -> Option<(Injection, Vec<usize>)> {
    let first = faults.iter().position(|fault| !fault.hits(writes).is_empty())?;
    let Injection::Plain(effect) = faults[first].injection else {
        return Some((faults.remove(first).injection, Vec::new()));
    };
    let (mut places, mut taken) = (Vec::new(), Vec::new());
    faults.retain(|fault| {
        let is_same = matches!(fault.injection, Injection::Plain(it) if it == effect);
        let hits = fault.hits(writes);
        if !is_same || hits.is_empty() || taken.contains(&fault.texts) {
            return true;
        }
        places.extend(hits);
        taken.push(fault.texts.clone());
        fault.is_lasting
    });
    places.sort_unstable();
    places.dedup();
    Some((Injection::Plain(effect), places))
}
