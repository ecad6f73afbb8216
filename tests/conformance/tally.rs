//! Runs a situation for every stage and counts the cases.

use std::sync::{Arc, Mutex};

use futures::future::join_all;
use workflow_tests::conformance::{
    case::Case, harness::Harness, outcome::outcome, subject::Subject, upstream,
};

/// Cases and failed cases so far.
static TALLY: Mutex<(usize, usize)> = Mutex::new((0, 0));

/// Runs a situation for all stages concurrently, with this number of orders for each.
///
/// Prints a line for each case. Panics with the list of failed cases.
pub(crate) async fn for_every_stage<Fut>(
    situation: &str,
    number_of_orders: usize,
    run: impl Fn(Arc<Case>) -> Fut,
) where
    Fut: Future<Output = ()> + Send + 'static,
{
    let harness = Arc::new(Harness::start().await);
    let orders = upstream::orders(&harness, number_of_orders).await;
    let cases = orders.into_iter().map(async |(subject, orders)| {
        let case = Arc::new(Case::new(Arc::clone(&harness), subject, orders).await);
        (subject, outcome(run(case)).await)
    });
    let outcomes = join_all(cases).await;
    report(situation, &outcomes);
}

fn report(situation: &str, outcomes: &[(Subject, Result<(), String>)]) {
    let mut failed = Vec::new();
    let mut tally = TALLY.lock().unwrap();
    for (subject, outcome) in outcomes {
        let case = format!("{} / {situation}", subject.name);
        match outcome {
            Ok(()) => println!("case {case} ... ok"),
            Err(why) => {
                println!("case {case} ... FAILED: {why}");
                failed.push(case);
            }
        }
    }
    tally.0 += outcomes.len();
    tally.1 += failed.len();
    println!("conformance: {} cases so far, {} failed", tally.0, tally.1);
    drop(tally);
    assert!(failed.is_empty(), "failed cases:\n  {}", failed.join("\n  "));
}
