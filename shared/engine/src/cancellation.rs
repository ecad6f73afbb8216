//! Maps the reasons of a cancelled transaction to an outcome for each row of its group.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason};
use contracts::{FailureReason, Money};
use rust_decimal::Decimal;

use crate::{
    Effect, TransientError, error::PermanentError, new_row::NewRow, orders_table::Inserted,
    row::Item, stage::ItemKey,
};

/// The operation in error texts.
pub(crate) const OPERATION: &str = "commit rows with their effects";

/// The numbers that [`Money`] reads.
const VALID_NUMBER: &str = "a number of at most 28 digits";

pub(crate) fn interpret<'g>(
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
        .map(|(index, new)| {
            match of_rows.get(index).map(|reason| reason.code().unwrap_or("None")) {
                Some("ConditionalCheckFailed") => Inserted::Existing,
                None => {
                    Inserted::Failed(TransientError::new(OPERATION, "cancelled without reasons"))
                }
                Some("None") => of_effects(new, &mut items, is_conflict, group.len() == 1),
                Some(code) => Inserted::Failed(TransientError::new(OPERATION, code.to_owned())),
            }
        })
        .collect()
}

/// The state of an item, from its cancellation reason.
enum ItemState {
    /// The update was possible.
    Fine,
    /// Less than the group needs: `had` at first, `left` after the earlier rows of the group.
    Short { had: Option<Decimal>, left: Decimal },
    /// A person must correct the item.
    Corrupt(String),
    /// The update failed otherwise, for example in a conflict.
    Faulty(String),
}

impl ItemState {
    fn of(sum: &Effect, reason: &CancellationReason) -> Self {
        match reason.code() {
            None | Some("None") => Self::Fine,
            Some("ConditionalCheckFailed") => match floor(sum, reason.item()) {
                Ok(had) => Self::Short { had, left: had.unwrap_or_default() },
                Err(error) => Self::Corrupt(error),
            },
            // An attribute is not a number, or the sum has more than DynamoDB's 38 digits.
            Some("ValidationError") => {
                let names: Vec<_> = sum.adds.iter().map(|(name, _)| *name).collect();
                Self::Corrupt(format!(
                    "{}: {} is not {VALID_NUMBER} (correct the item)",
                    sum.named(),
                    names.join(" or ")
                ))
            }
            Some(code) => Self::Faulty(code.to_owned()),
        }
    }
}

/// The floor attribute of an item; `None` if there is no item.
fn floor(sum: &Effect, item: Option<&Item>) -> Result<Option<Decimal>, String> {
    let Some(item) = item.filter(|item| !item.is_empty()) else { return Ok(None) };
    let value = item.get(sum.floor);
    let number = value.and_then(|value| value.as_n().ok());
    number.and_then(|number| Money::from_text(number)).map(|it| Some(it.decimal())).ok_or_else(
        || {
            format!(
                "{}: attribute {:?} {}, and must be {VALID_NUMBER} (correct the item)",
                sum.named(),
                sum.floor,
                value.map_or("is missing", holds)
            )
        },
    )
}

/// Names the type of an attribute, not its value, which may be confidential.
const fn holds(value: &AttributeValue) -> &'static str {
    match value {
        AttributeValue::S(_) => "holds a string",
        AttributeValue::N(_) => "holds a longer number",
        AttributeValue::B(_) => "holds bytes",
        AttributeValue::Bool(_) => "holds a boolean",
        AttributeValue::Null(_) => "holds null",
        AttributeValue::L(_) => "holds a list",
        AttributeValue::M(_) => "holds a map",
        AttributeValue::Bs(_) | AttributeValue::Ns(_) | AttributeValue::Ss(_) => "holds a set",
        _ => "holds another type",
    }
}

fn of_effects<'g>(
    new: &'g NewRow,
    items: &mut BTreeMap<ItemKey<'g>, ItemState>,
    is_conflict: bool,
    is_alone: bool,
) -> Inserted {
    let (mut refusals, mut fits) = (Vec::new(), true);
    for effect in &new.effects {
        match items.get(&effect.item()) {
            Some(ItemState::Corrupt(error)) => {
                return Inserted::Permanent(PermanentError::new(error.clone()));
            }
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
    // With a conflict, the list of shortages is incomplete.
    if let Some(reason) = FailureReason::merge(refusals).filter(|_| !is_conflict) {
        return Inserted::Refused(reason);
    }
    if !fits {
        return if is_alone { Inserted::Regroup } else { Inserted::Alone };
    }
    for effect in &new.effects {
        if let Some(ItemState::Short { left, .. }) = items.get_mut(&effect.item()) {
            *left -= effect.needs();
        }
    }
    Inserted::Regroup
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use contracts::FailureCode;

    use super::*;

    fn reserve() -> Effect {
        Effect {
            table: "Stock".to_owned(),
            key: ("sku", "A".to_owned()),
            is_key_loggable: true,
            adds: vec![("available", Decimal::NEGATIVE_ONE), ("reserved", Decimal::ONE)],
            floor: "available",
            refused: |_, _| FailureReason::new(FailureCode::OutOfStock, "out of stock"),
        }
    }

    fn correction(reason: &CancellationReason) -> String {
        match ItemState::of(&reserve(), reason) {
            ItemState::Corrupt(correction) => correction,
            _ => panic!("the item is not corrupt"),
        }
    }

    #[test]
    fn a_corrupt_item_is_named_with_the_numbers_that_it_must_hold() {
        let invalid = CancellationReason::builder().code("ValidationError").build();
        assert_eq!(
            correction(&invalid),
            "the item of Stock with sku \"A\": available or reserved is not a number of at most 28 \
             digits (correct the item)"
        );
        for (value, held) in [
            (AttributeValue::S("5".to_owned()), "holds a string"),
            (AttributeValue::N("-1E+100".to_owned()), "holds a longer number"),
        ] {
            let failed = CancellationReason::builder().code("ConditionalCheckFailed");
            let failed = failed.set_item(Some(HashMap::from([("available".to_owned(), value)])));
            assert_eq!(
                correction(&failed.build()),
                format!(
                    "the item of Stock with sku \"A\": attribute \"available\" {held}, and must be a \
                     number of at most 28 digits (correct the item)"
                )
            );
        }
    }
}
