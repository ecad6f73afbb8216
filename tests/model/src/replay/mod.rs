//! Replays the trace of a real run against the transition relation of the model.
//!
//! Each entry must be what others see of some steps of the model, `search`. The processes of a
//! trace have no names, so that any process may be the one that did it.

mod deviation;
mod entry;
mod known;
mod search;

use std::collections::{HashMap, HashSet};

use contracts::{EventType, StageName};

pub use self::{
    deviation::{Deviation, Kind},
    entry::{Entry, What},
};
use self::{known::Known, search::After};
use crate::{
    Protocol, Shared,
    order::{Order, Row, Terms},
    turn::Visible,
};

/// An entry may be about something that happened earlier than entries before it, at most so long:
/// longer than a request to the database takes.
const MAX_REORDERING_US: i64 = 30_000_000;

/// The state of a run.
#[derive(Debug, Clone)]
pub struct Replay {
    protocol: Protocol,
    pub shared: Shared,
    orders: HashMap<String, Known>,
    /// The orders that may still need stock or money.
    waiting: HashSet<String>,
    /// The bytes of each row.
    bodies: HashMap<(String, StageName), String>,
}

impl Replay {
    #[must_use]
    pub fn new(protocol: Protocol, shared: Shared) -> Self {
        Self {
            protocol,
            shared,
            orders: HashMap::new(),
            waiting: HashSet::new(),
            bodies: HashMap::new(),
        }
    }

    /// Replays a trace that is sorted by [`Entry::sort_key`]. `terms` reads what an order asks for
    /// from its first event.
    ///
    /// # Errors
    /// The first entry that the protocol does not allow.
    pub fn run(
        &mut self,
        trace: &[Entry],
        terms: impl Fn(&str) -> Terms,
    ) -> Result<(), Box<Deviation>> {
        let mut is_taken = vec![false; trace.len()];
        for position in 0..trace.len() {
            if is_taken[position] {
                continue;
            }
            self.register(&trace[position], &terms);
            let Err((kind, allowed)) = self.enter(trace, position) else { continue };
            if !self.pull_forward(trace, position, &mut is_taken, &terms) {
                let entry = trace[position].clone();
                return Err(Box::new(Deviation { position, entry, kind, allowed }));
            }
        }
        Ok(())
    }

    /// The order is known from its first row on.
    fn register(&mut self, entry: &Entry, terms: impl Fn(&str) -> Terms) {
        if let What::Row { stage: StageName::OrderApi, body, .. } = &entry.what
            && !self.orders.contains_key(&entry.order)
        {
            let terms = terms(body);
            self.orders.insert(entry.order.clone(), Known::new(terms));
        }
    }

    /// Enters later rows first that may have been stored before this entry, until it is allowed.
    fn pull_forward(
        &mut self,
        trace: &[Entry],
        position: usize,
        is_taken: &mut [bool],
        terms: impl Fn(&str) -> Terms,
    ) -> bool {
        let until = trace[position].to;
        for later in position + 1..trace.len() {
            let candidate = &trace[later];
            if candidate.to > until + MAX_REORDERING_US {
                return false;
            }
            let is_row = matches!(candidate.what, What::Row { .. });
            if is_taken[later] || !is_row || candidate.from > until {
                continue;
            }
            self.register(candidate, &terms);
            if self.is_related(&trace[position], candidate) && self.enter(trace, later).is_ok() {
                is_taken[later] = true;
                if self.enter(trace, position).is_ok() {
                    return true;
                }
            }
        }
        false
    }

    /// About the same order, or the same item or balance.
    fn is_related(&self, entry: &Entry, other: &Entry) -> bool {
        let terms = |id: &str| self.orders.get(id).map(|known| &known.terms);
        let shares =
            |(one, two): (&Terms, &Terms)| one.item == two.item || one.customer == two.customer;
        entry.order == other.order
            || terms(&entry.order).zip(terms(&other.order)).is_some_and(shares)
    }

    /// Makes the steps of the model that look like the entry.
    fn enter(&mut self, trace: &[Entry], position: usize) -> Result<(), (Kind, Vec<Visible>)> {
        let entry = &trace[position];
        let Some(known) = self.orders.get(&entry.order) else {
            return Err((Kind::UnknownOrder, Vec::new()));
        };
        let wanted = match &entry.what {
            What::Row { stage, row, .. } => Visible::Row(*stage, *row),
            What::Published { event, body } => self.published(&entry.order, known, *event, body)?,
            What::Done(task) if known.order.may_be_done(*task) => return Ok(()),
            What::Done(_) => return Err((Kind::DoneTooEarly, Vec::new())),
        };
        let (after, shared) = self
            .find(known, wanted)
            .map_err(|allowed| (deviation::kind(&known.order, trace, position), allowed))?;
        if let Some(rule) = after.first_broken() {
            return Err((Kind::Broken(rule), Vec::new()));
        }
        if let What::Row { stage, body, .. } = &entry.what {
            self.bodies.insert((entry.order.clone(), *stage), body.clone());
        }
        self.take(&entry.order, after, shared);
        if wanted == Visible::Row(StageName::OrderApi, Row::Accepted) {
            let known = self.orders.get_mut(&entry.order);
            known.into_iter().for_each(|it| it.read_for_cancellation(&self.protocol));
        }
        Ok(())
    }

    /// The event must have the bytes in its row, if there is one of its type.
    fn published(
        &self,
        id: &str,
        known: &Known,
        event: EventType,
        body: &String,
    ) -> Result<Visible, (Kind, Vec<Visible>)> {
        let publisher = event.published_by();
        let is_of_row = known.order.event(publisher) == Some(event);
        if is_of_row && self.bodies.get(&(id.to_owned(), publisher)) != Some(body) {
            return Err((Kind::OtherBytes, Vec::new()));
        }
        Ok(Visible::Published(event))
    }

    fn find(&self, known: &Known, wanted: Visible) -> Result<After, Vec<Visible>> {
        let Known { terms, order, .. } = known;
        let start = (order.clone(), self.shared.clone());
        let found = search::find(&self.protocol, terms, &start, wanted);
        // A refusal of earlier may be stored as a rejection only now.
        let short = match wanted {
            Visible::Row(StageName::Inventory, Row::Rejected) => known.without_stock.as_ref(),
            Visible::Row(StageName::Payment, Row::Rejected) => known.without_money.as_ref(),
            _ => None,
        };
        let Some(short) = short.filter(|_| found.is_err()) else { return found };
        let start = (order.clone(), short.clone());
        let after = search::find(&self.protocol, terms, &start, wanted);
        after.map(|(order, _)| (order, self.shared.clone())).or(found)
    }

    fn take(&mut self, id: &str, after: Order, shared: Shared) {
        let is_changed = shared != self.shared;
        self.shared = shared;
        if let Some(known) = self.orders.get_mut(id) {
            known.order = after;
            if known.is_served() {
                self.waiting.remove(id);
            } else {
                self.waiting.insert(id.to_owned());
            }
            known.note_shortage(&self.shared);
        }
        let waiting = self.waiting.iter().filter(|_| is_changed);
        for id in waiting {
            if let Some(known) = self.orders.get_mut(id) {
                known.note_shortage(&self.shared);
            }
        }
    }

    /// The orders, each with its state.
    pub fn orders(&self) -> impl Iterator<Item = (&str, &Order)> {
        self.orders.iter().map(|(id, known)| (id.as_str(), &known.order))
    }
}
