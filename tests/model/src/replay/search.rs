//! Finds steps of the model that look like an entry of a trace.

use std::collections::HashSet;

use crate::{
    Protocol, Shared,
    fault::Fault,
    order::{Order, Phase, Terms},
    protocol::Step,
    turn::Visible,
};

/// The most steps between two things that others can see: a process that holds the record stops,
/// the record is delivered again, and two phases follow.
const MAX_STEPS: usize = 5;

/// The order, and what it shares, after some steps.
pub(super) type After = (Order, Shared);

/// The states after the fewest steps of which the last looks like `wanted` and the others like
/// nothing, or all that could have been seen instead.
pub(super) fn find(
    protocol: &Protocol,
    terms: &Terms,
    start: &After,
    wanted: Visible,
) -> Result<After, Vec<Visible>> {
    let mut seen = Vec::new();
    let mut known: HashSet<Order> = HashSet::new();
    let mut open = vec![start.clone()];
    for _ in 0..MAX_STEPS {
        let mut next = Vec::new();
        for (order, shared) in open {
            for step in steps(protocol, terms, &order) {
                let (mut order, mut shared) = (order.clone(), shared.clone());
                match protocol.apply(terms, &mut order, &mut shared, step) {
                    Some(visible) if visible == wanted => return Ok((order, shared)),
                    Some(visible) if seen.contains(&visible) => {}
                    Some(visible) => seen.push(visible),
                    None if known.insert(order.clone()) => next.push((order, shared)),
                    None => {}
                }
            }
        }
        open = next;
    }
    Err(seen)
}

/// The protocol's steps, and the faults that a trace does not show otherwise.
fn steps(protocol: &Protocol, terms: &Terms, order: &Order) -> Vec<Step> {
    let faults = protocol.faults(terms, order).into_iter().filter(|fault| match fault {
        Fault::Again(_) | Fault::Stop(..) | Fault::RunRecovery => true,
        // Written, and reported as failed.
        Fault::StopAfter(_, Phase::Publish(_) | Phase::PublishBoth) => true,
        _ => false,
    });
    protocol.steps(order).chain(faults.map(Step::Fault)).collect()
}
