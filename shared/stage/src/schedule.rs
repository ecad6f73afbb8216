//! Which records of a batch wait for which: those of one order follow each other, different orders
//! are worked on side by side.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};

use crate::{Retry, incoming::Incoming};

/// Orders of one batch that are worked on side by side; each holds a connection to DynamoDB.
const ORDERS_AT_ONCE: usize = 32;

/// Decides about every record; the results stand in the order of the batch.
pub(crate) async fn order_by_order<'a, 'b: 'a, T, Decide, Fut>(
    batch: &'a [Incoming<'b>],
    decide: Decide,
) -> Vec<Result<T, Retry>>
where
    Decide: Fn(&'a Incoming<'b>) -> Fut,
    Fut: Future<Output = Result<T, Retry>>,
{
    let mut orders: BTreeMap<&str, Vec<(usize, &Incoming<'_>)>> = BTreeMap::new();
    for (place, incoming) in batch.iter().enumerate() {
        orders.entry(incoming.order_key()).or_default().push((place, incoming));
    }
    let mut decided: Vec<(usize, Result<T, Retry>)> = stream::iter(orders.into_values())
        .map(|records| one_order(records, &decide))
        .buffer_unordered(ORDERS_AT_ONCE)
        .flat_map(stream::iter)
        .collect()
        .await;
    decided.sort_by_key(|(place, _)| *place);
    decided.into_iter().map(|(_, decided)| decided).collect()
}

/// The records of one order, in their order; after trouble with one the others have to wait.
async fn one_order<'a, 'b: 'a, T, Decide, Fut>(
    records: Vec<(usize, &'a Incoming<'b>)>,
    decide: &Decide,
) -> Vec<(usize, Result<T, Retry>)>
where
    Decide: Fn(&'a Incoming<'b>) -> Fut,
    Fut: Future<Output = Result<T, Retry>>,
{
    let mut decided = Vec::with_capacity(records.len());
    let mut in_trouble = false;
    for (place, incoming) in records {
        let result = if in_trouble {
            Err(Retry::out_of_time("waiting for an earlier record of the order"))
        } else {
            decide(incoming).await
        };
        in_trouble = result.is_err();
        decided.push((place, result));
    }
    decided
}
