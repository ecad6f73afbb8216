//! A plan of faults by rules and a seed.
//!
//! Each operation on each table has random numbers of its own, two for every request. The same seed
//! therefore injects the same faults for the same sequence of requests of each, however the
//! sequences interleave. A random prefix of the tables' names does not count.

use std::{collections::BTreeMap, time::Duration};

use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{
    call::Call,
    fault::{Fault, ItemRejection, Rejection},
};

/// Faults for a part of the requests.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Such as `PutItem`; `None` for every operation that may have the fault.
    pub operation: Option<String>,
    /// The end of a table's name; `None` for every table.
    pub table: Option<String>,
    pub chance: Chance,
    pub fault: Fault,
}

/// The frequency of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chance {
    /// To so many of a million requests, by the seed.
    PerMillion(u32),
    /// To so many next requests.
    Next(u32),
}

/// The rate of each kind of fault, per million requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Throttled: the whole request, or single items.
    pub throttled: u32,
    /// A conflict with a transaction.
    pub conflicts: u32,
    /// 500 and 503, not executed.
    pub errors: u32,
    /// Not executed, and the connection is cut.
    pub resets: u32,
    /// Executed late: before or after the client's time limit.
    pub delays: u32,
    /// Executed, and the response is lost: 500, cut, or too late.
    pub lost: u32,
    /// Some keys of a `BatchGetItem`, or single statements, are not executed.
    pub partial: u32,
}

/// Below a client's time limit for an attempt, which is 3 seconds.
const SHORT: Duration = Duration::from_millis(200);
/// Above it.
const LONG: Duration = Duration::from_millis(3_500);

/// Rules, and the seed that decides when they apply.
#[derive(Debug)]
pub struct FaultPlan {
    seed: u64,
    rules: Vec<Rule>,
    streams: BTreeMap<String, ChaCha8Rng>,
}

impl FaultPlan {
    /// A plan without rules.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, rules: Vec::new(), streams: BTreeMap::new() }
    }

    /// A plan of all faults, at these rates.
    #[must_use]
    pub fn seeded(seed: u64, rates: &Rates) -> Self {
        let item = Fault::RejectItem;
        let of_rates: [(u32, &[Fault]); 7] = [
            (
                rates.throttled,
                &[
                    Fault::ThrottleRequest,
                    Fault::Reject(Rejection::ProvisionedThroughputExceeded),
                    Fault::Reject(Rejection::RequestLimitExceeded),
                    Fault::ThrottleItem,
                    item(ItemRejection::ProvisionedThroughputExceeded),
                ],
            ),
            (
                rates.conflicts,
                &[
                    item(ItemRejection::TransactionConflict),
                    item(ItemRejection::Mixed),
                    Fault::Reject(Rejection::TransactionInProgress),
                ],
            ),
            (
                rates.errors,
                &[
                    Fault::Reject(Rejection::InternalServerError),
                    Fault::Reject(Rejection::ServiceUnavailable),
                ],
            ),
            (rates.resets, &[Fault::Reset]),
            (rates.delays, &[Fault::Delay(SHORT), Fault::Delay(LONG)]),
            (rates.lost, &[Fault::LoseResponse, Fault::CutResponse, Fault::LateResponse(LONG)]),
            (
                rates.partial,
                &[
                    Fault::UnprocessedKeys,
                    item(ItemRejection::InternalServerError),
                    item(ItemRejection::RequestLimitExceeded),
                ],
            ),
        ];
        let mut plan = Self::new(seed);
        for (rate, faults) in of_rates {
            let number = u32::try_from(faults.len()).unwrap_or(1).max(1);
            let chance = Chance::PerMillion(rate / number);
            let rules = faults.iter();
            plan.rules.extend(rules.map(|fault| Rule {
                operation: None,
                table: None,
                chance,
                fault: *fault,
            }));
        }
        plan
    }

    /// Adds a rule; of several that apply to a request, the first does.
    #[must_use]
    pub fn with(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The fault of the next such request, with the places of the affected parts.
    pub(super) fn draw(&mut self, call: &Call) -> Option<(Fault, Vec<usize>)> {
        let stream = self.stream(call);
        // The same number of draws for every request, whichever rules there are.
        let (mut drawn, chosen) = (stream.random_range(0..1_000_000_u32), stream.next_u64());
        let rules = self.rules.iter_mut();
        let mut rules = rules.filter(|rule| rule.is_for(call));
        let fault = rules.find_map(|rule| match &mut rule.chance {
            Chance::Next(0) => None,
            Chance::Next(left) => {
                *left -= 1;
                Some(rule.fault)
            }
            Chance::PerMillion(rate) if drawn < *rate => Some(rule.fault),
            Chance::PerMillion(rate) => {
                drawn -= *rate;
                None
            }
        })?;
        Some((fault, places(call.parts().len(), chosen)))
    }

    fn stream(&mut self, call: &Call) -> &mut ChaCha8Rng {
        let tables = call.tables().into_iter();
        let tables: Vec<_> = tables.map(|name| name.rsplit('-').next().unwrap_or(name)).collect();
        let name = format!("{} {}", call.operation, tables.join(" "));
        let seed = self.seed;
        self.streams.entry(name).or_insert_with_key(|name| {
            let hash = |sum: u64, byte: u8| sum.wrapping_mul(31).wrapping_add(byte.into());
            ChaCha8Rng::seed_from_u64(seed ^ name.bytes().fold(7, hash).rotate_left(16))
        })
    }
}

impl Rule {
    fn is_for(&self, call: &Call) -> bool {
        let is_of_operation = self.operation.as_ref().is_none_or(|it| *it == call.operation);
        is_of_operation
            && self.fault.applies_to(&call.operation)
            && self.table.as_ref().is_none_or(|table| call.names_table(table))
    }
}

/// Some of the places, at least one; all of them for every eighth number.
fn places(parts: usize, chosen: u64) -> Vec<usize> {
    let first = usize::try_from(chosen % u64::try_from(parts.max(1)).unwrap_or(1)).unwrap_or(0);
    let is_all = chosen >> 61 == 0;
    (0..parts).filter(|place| is_all || *place == first || is_chosen(chosen, *place)).collect()
}

fn is_chosen(chosen: u64, place: usize) -> bool {
    (chosen >> (place % 48)) & 1 == 1
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn calls() -> Vec<Call> {
        let batch = json!({ "Statements": [{ "Statement": "INSERT INTO \"t-Orders\" VALUE {}" }] });
        let query = json!({ "TableName": "t-Orders" });
        let batch = Call { operation: "BatchExecuteStatement".to_owned(), body: batch };
        let query = Call { operation: "Query".to_owned(), body: query };
        (0..2_000).flat_map(|_| [batch.clone(), query.clone()]).collect()
    }

    fn rates() -> Rates {
        Rates {
            throttled: 50_000,
            conflicts: 50_000,
            errors: 50_000,
            resets: 50_000,
            delays: 50_000,
            lost: 50_000,
            partial: 50_000,
        }
    }

    #[test]
    fn a_seed_injects_the_same_faults_however_operations_interleave() {
        let draw = |seed, calls: &[Call]| {
            let mut plan = FaultPlan::seeded(seed, &rates());
            let drawn = calls.iter().map(|call| (call.operation.clone(), plan.draw(call)));
            let mut drawn: Vec<_> = drawn.collect();
            // Of each operation, in order.
            drawn.sort_by(|a, b| a.0.cmp(&b.0));
            drawn
        };
        let (in_turn, mut apart) = (calls(), calls());
        apart.sort_by(|a, b| b.operation.cmp(&a.operation));
        assert_eq!(draw(7, &in_turn), draw(7, &apart));
        assert_ne!(draw(7, &in_turn), draw(8, &in_turn));
    }

    #[test]
    fn a_rate_is_met_and_no_fault_is_drawn_for_an_operation_that_cannot_have_it() {
        let mut plan = FaultPlan::seeded(1, &rates());
        let drawn: Vec<_> = calls()
            .iter()
            .filter_map(|call| Some((call.operation.clone(), plan.draw(call)?)))
            .collect();
        assert!(drawn.iter().all(|(operation, (fault, _))| fault.applies_to(operation)));
        let number = drawn.len();
        assert!((800..1_600).contains(&number), "{number} of 4,000 requests");
    }

    #[test]
    fn a_rule_is_for_its_operation_and_table_as_often_as_it_says() {
        let rule = Rule {
            operation: Some("Query".to_owned()),
            table: Some("Orders".to_owned()),
            chance: Chance::Next(2),
            fault: Fault::Reset,
        };
        let other = Rule { table: Some("Stock".to_owned()), ..rule.clone() };
        let mut plan = FaultPlan::new(1).with(other).with(rule);
        let faults: Vec<_> = calls().iter().filter_map(|call| plan.draw(call)).collect();
        assert_eq!(faults, [(Fault::Reset, vec![0]), (Fault::Reset, vec![0])]);
    }
}
