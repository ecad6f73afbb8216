//! Commits a group of rows with their effects in one transaction.
//!
//! The effects of a group are summed: one update for each item. If the transaction is cancelled,
//! its reasons name the rows that exist and the amount that each item still has. The caller then
//! regroups the orders that fit, and inserts the uncertain ones alone.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::{
    error::BuildError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update},
};

use crate::{
    Effect, OrdersTable, TransientError,
    cancellation::{OPERATION, interpret},
    new_row::NewRow,
    orders_table::Inserted,
    stage::ItemKey,
};

/// The most actions of one transaction.
pub(crate) const MAX_ACTIONS: usize = 100;

/// The condition of every insert: there is no row for this order and stage, or it has expired.
const NO_ROW_YET: &str = "attribute_not_exists(orderId) OR expiresAt <= :now";

impl OrdersTable {
    /// Commits a group of at most [`MAX_ACTIONS`] rows and items; the outcomes are in its order.
    pub(crate) async fn commit(&self, group: &[&NewRow]) -> Vec<Inserted> {
        let failed = |error| Inserted::all_failed(group.len(), &error);
        let Some(sums) = sums(group) else {
            return failed(TransientError::new(OPERATION, "the sum of a group overflows"));
        };
        let actions = match self.actions(group, &sums) {
            Ok(actions) => actions,
            Err(error) => return failed(TransientError::new(OPERATION, error)),
        };
        let request = self.client.transact_write_items().set_transact_items(Some(actions));
        let Err(error) = request.send().await else {
            return group.iter().map(|_| Inserted::New).collect();
        };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                interpret(group, &sums, cancelled.cancellation_reasons())
            }
            _ => failed(TransientError::aws(OPERATION, &error)),
        }
    }

    fn actions(
        &self,
        group: &[&NewRow],
        sums: &BTreeMap<ItemKey<'_>, Effect>,
    ) -> Result<Vec<TransactWriteItem>, BuildError> {
        let now = AttributeValue::N(self.now().to_string());
        let rows = group.iter().map(|new| {
            let put = Put::builder()
                .table_name(&self.name)
                .set_item(Some(new.row.to_item()))
                .condition_expression(NO_ROW_YET)
                .expression_attribute_values(":now", now.clone())
                .build()?;
            Ok(TransactWriteItem::builder().put(put).build())
        });
        rows.chain(sums.values().map(update)).collect()
    }
}

/// One effect for each item: the sum of what the group adds. `None` if it overflows.
fn sums<'g>(group: &[&'g NewRow]) -> Option<BTreeMap<ItemKey<'g>, Effect>> {
    let mut sums: BTreeMap<ItemKey<'g>, Effect> = BTreeMap::new();
    for effect in group.iter().flat_map(|new| &new.effects) {
        match sums.get_mut(&effect.item()) {
            None => drop(sums.insert(effect.item(), effect.clone())),
            Some(sum) => {
                for (name, number) in &effect.adds {
                    match sum.adds.iter_mut().find(|(other, _)| other == name) {
                        Some((_, total)) => *total = total.checked_add(*number)?,
                        None => sum.adds.push((*name, *number)),
                    }
                }
            }
        }
    }
    Some(sums)
}

fn update(sum: &Effect) -> Result<TransactWriteItem, BuildError> {
    let adds: Vec<_> = sum
        .adds
        .iter()
        .enumerate()
        .map(|(index, (name, _))| format!("{name} :add{index}"))
        .collect();
    let mut update = Update::builder()
        .table_name(&sum.table)
        .key(sum.key.0, AttributeValue::S(sum.key.1.clone()))
        // ADD treats a missing attribute as zero.
        .update_expression(format!("ADD {}", adds.join(", ")))
        .condition_expression(format!("{} >= :needs", sum.floor))
        .expression_attribute_values(":needs", AttributeValue::N(sum.needs().to_string()))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    for (index, (_, number)) in sum.adds.iter().enumerate() {
        let value = AttributeValue::N(number.to_string());
        update = update.expression_attribute_values(format!(":add{index}"), value);
    }
    Ok(TransactWriteItem::builder().update(update.build()?).build())
}
