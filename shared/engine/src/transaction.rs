//! Rows that commit together with their effects, as one group in one transaction.
//!
//! The effects of a group are summed: one update for each item. Where the group is refused, the
//! reasons name the rows that exist and how much each item still has, so that the caller can form a
//! smaller group of the orders that fit, and try alone only those for whom it is not certain.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::{
    error::BuildError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem, Update,
    },
};
use contracts::FailureReason;
use rust_decimal::Decimal;

use crate::{
    Effect, OrdersTable, TransientError, new_row::NewRow, orders_table::Inserted, row::Item,
};

/// The most actions of one transaction.
pub(crate) const MAX_ACTIONS: usize = 100;

const OPERATION: &str = "commit rows with their effects";

/// The condition of every insert: there is no row yet for this order and stage.
const NO_ROW_YET: &str = "attribute_not_exists(orderId)";

/// An item that effects update: table, key attribute, key.
pub(crate) type ItemKey<'a> = (&'a str, &'static str, &'a str);

/// The item that an effect updates.
pub(crate) fn item_key(effect: &Effect) -> ItemKey<'_> {
    (&effect.table, effect.key.0, &effect.key.1)
}

impl OrdersTable {
    /// Commits a group of at most [`MAX_ACTIONS`] rows and items; the outcomes are in its order.
    pub(crate) async fn commit(&self, group: &[&NewRow]) -> Vec<Inserted> {
        let sums = sums(group);
        let failed =
            |error: TransientError| group.iter().map(|_| Inserted::Failed(error.clone())).collect();
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
            _ => failed(TransientError::aws(OPERATION, error)),
        }
    }

    fn actions(
        &self,
        group: &[&NewRow],
        sums: &BTreeMap<ItemKey<'_>, Effect>,
    ) -> Result<Vec<TransactWriteItem>, BuildError> {
        let rows = group.iter().map(|new| {
            let put = Put::builder()
                .table_name(&self.name)
                .set_item(Some(new.row.to_item()))
                .condition_expression(NO_ROW_YET)
                .build()?;
            Ok(TransactWriteItem::builder().put(put).build())
        });
        rows.chain(sums.values().map(update)).collect()
    }
}

/// One effect for each item: the sum of what the group adds.
fn sums<'g>(group: &[&'g NewRow]) -> BTreeMap<ItemKey<'g>, Effect> {
    let mut sums: BTreeMap<ItemKey<'g>, Effect> = BTreeMap::new();
    for effect in group.iter().flat_map(|new| &new.effects) {
        match sums.get_mut(&item_key(effect)) {
            None => drop(sums.insert(item_key(effect), effect.clone())),
            Some(sum) => {
                for (name, number) in &effect.adds {
                    match sum.adds.iter_mut().find(|(other, _)| other == name) {
                        Some((_, total)) => *total += *number,
                        None => sum.adds.push((*name, *number)),
                    }
                }
            }
        }
    }
    sums
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
        // ADD takes a missing attribute for zero.
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

/// What a cancelled transaction means for each row of the group.
fn interpret<'g>(
    group: &[&'g NewRow],
    sums: &BTreeMap<ItemKey<'g>, Effect>,
    reasons: &[CancellationReason],
) -> Vec<Inserted> {
    let (of_rows, of_items) = reasons.split_at_checked(group.len()).unwrap_or((reasons, &[]));
    let mut items: BTreeMap<ItemKey<'g>, ItemState> = sums
        .iter()
        .zip(of_items)
        .map(|((key, sum), reason)| (*key, ItemState::of(sum, reason)))
        .collect();
    let is_conflict = reasons.iter().any(|it| it.code() == Some("TransactionConflict"));
    group
        .iter()
        .enumerate()
        .map(|(index, new)| match of_rows.get(index).and_then(CancellationReason::code) {
            Some("ConditionalCheckFailed") => Inserted::Existing,
            None | Some("None") => of_effects(new, &mut items, is_conflict, group.len() == 1),
            Some(code) => Inserted::Failed(TransientError::new(OPERATION, code.to_owned())),
        })
        .collect()
}

/// What a cancelled transaction says of an item.
enum ItemState {
    /// Nothing stands against its update.
    Fine,
    /// It has less than the group needs: this much at first, and what earlier rows leave of it.
    Short { had: Option<Decimal>, left: Decimal },
    /// Its update fails for another reason: a conflict, or an item that a person must correct.
    Faulty(String),
}

impl ItemState {
    fn of(sum: &Effect, reason: &CancellationReason) -> Self {
        match reason.code() {
            None | Some("None") => Self::Fine,
            Some("ConditionalCheckFailed") => match floor(sum, reason.item()) {
                Ok(had) => Self::Short { had, left: had.unwrap_or_default() },
                Err(error) => Self::Faulty(error),
            },
            Some(code @ "ValidationError") => {
                Self::Faulty(format!("{code}: correct the item of {}", sum.table))
            }
            Some(code) => Self::Faulty(code.to_owned()),
        }
    }
}

/// The floor attribute of an item; `None` where there is no item.
fn floor(sum: &Effect, item: Option<&Item>) -> Result<Option<Decimal>, String> {
    let Some(item) = item.filter(|item| !item.is_empty()) else { return Ok(None) };
    let number = item.get(sum.floor).and_then(|value| value.as_n().ok());
    number
        .and_then(|number| contracts::Money::from_text(number))
        .map(|it| Some(it.decimal()))
        .ok_or_else(|| {
            format!(
                "attribute {:?} of an item of {} is not a number: correct the item",
                sum.floor, sum.table
            )
        })
}

fn of_effects<'g>(
    new: &'g NewRow,
    items: &mut BTreeMap<ItemKey<'g>, ItemState>,
    is_conflict: bool,
    is_alone: bool,
) -> Inserted {
    let (mut refusals, mut fits) = (Vec::new(), true);
    for effect in &new.effects {
        match items.get(&item_key(effect)) {
            Some(ItemState::Faulty(error)) => {
                return Inserted::Failed(TransientError::new(OPERATION, error.clone()));
            }
            Some(ItemState::Short { had, left }) => {
                if had.is_none_or(|had| had < effect.needs()) {
                    refusals.push((effect.refused)(effect, *had));
                }
                fits &= effect.needs() <= *left;
            }
            Some(ItemState::Fine) | None => {}
        }
    }
    // Beside a conflict the list of what is short is not complete.
    if let Some(reason) = FailureReason::merge(refusals).filter(|_| !is_conflict) {
        return Inserted::Refused(reason);
    }
    if !fits {
        return if is_alone { Inserted::Regroup } else { Inserted::Alone };
    }
    for effect in &new.effects {
        if let Some(ItemState::Short { left, .. }) = items.get_mut(&item_key(effect)) {
            *left -= effect.needs();
        }
    }
    Inserted::Regroup
}
