//! Faults that wait for a write, and the choice of those that a request meets.

use tokio::sync::oneshot;

use super::writes::Write;

/// A fault and the writes it is about.
pub(super) struct Fault {
    texts: Vec<String>,
    injection: Injection,
    is_lasting: bool,
}

/// The way a write is disturbed.
pub(super) enum Injection {
    /// It is carried out, and its answer is held back.
    Hold(Hold),
    Plain(Effect),
}

/// The two ends of a held answer.
pub(super) struct Hold {
    pub(super) reached: oneshot::Sender<()>,
    pub(super) release: oneshot::Receiver<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    LoseAnswer,
    CutAnswer,
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

    /// The places of the writes that hold all its texts.
    fn hits(&self, writes: &[Write]) -> Vec<usize> {
        let holds = |write: &&Write| self.texts.iter().all(|text| write.text.contains(text));
        writes.iter().filter(holds).map(|write| write.place).collect()
    }
}

/// Takes the faults that a request meets, with the places of the writes they are about.
///
/// The first fault decides the effect. Further ones of the same effect are taken with it if they
/// are about other writes, so that a request with many orders counts as a try of each of them.
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
