//! Every write to the orders table; `reads.rs` has what is read from it.
//!
//! A row is put only where there is none, and is never changed afterwards.

use aws_sdk_dynamodb::{
    Client,
    operation::{put_item::PutItemError, transact_write_items::TransactWriteItemsError},
    types::{
        AttributeValue, CancellationReason, Put as PutAction, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem,
    },
};
use contracts::{FailureReason, StageName};

use crate::{
    Effect, Retry, Row,
    decision::Item,
    row::attribute::{ORDER_ID, STAGE},
};

/// The condition of every put: there is no row yet for this order and stage.
///
/// A condition is checked against the item of the same key, so that the order id alone says it.
const NO_ROW_YET: &str = "attribute_not_exists(orderId)";

/// The orders table.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) client: Client,
    pub(crate) table: String,
}

/// What came of a put.
#[derive(Debug)]
pub enum Put {
    /// The row is new, and its effects have happened.
    Stored,
    /// There was a row already; nothing has changed.
    AlreadyStored(Box<Row>),
    /// Effects were refused, for these reasons; nothing has changed.
    Refused(Vec<FailureReason>),
}

impl Store {
    /// The table of that name.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Puts the row if there is none, with all its effects or not at all.
    ///
    /// Asks for the old item on refusal, so that a redelivery costs one request.
    ///
    /// # Errors
    /// When DynamoDB gives no answer, throttles, or another write is at the same item.
    pub async fn put_once(&self, row: &Row, effects: &[Effect]) -> Result<Put, Retry> {
        if effects.is_empty() { self.put_row(row).await } else { self.put_all(row, effects).await }
    }

    async fn put_row(&self, row: &Row) -> Result<Put, Retry> {
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(row.to_item()))
            .condition_expression(NO_ROW_YET)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = answer else { return Ok(Put::Stored) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                already_stored(refused.item())
            }
            _ => Err(Retry::new("putting the row", error)),
        }
    }

    async fn put_all(&self, row: &Row, effects: &[Effect]) -> Result<Put, Retry> {
        let put = PutAction::builder()
            .table_name(&self.table)
            .set_item(Some(row.to_item()))
            .condition_expression(NO_ROW_YET)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| Retry::new("putting the row", error))?;
        let actions = std::iter::once(TransactWriteItem::builder().put(put).build())
            .chain(effects.iter().map(Effect::action))
            .collect();
        let answer =
            self.client.transact_write_items().set_transact_items(Some(actions)).send().await;
        let Err(error) = answer else { return Ok(Put::Stored) };
        let reasons = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                cancelled.cancellation_reasons()
            }
            _ => &[],
        };
        match reasons {
            [of_row, ..] if is_refused(of_row) => already_stored(of_row.item()),
            // A refusal counts only where nothing else stood in the way: beside a conflict, the
            // list of what is refused is not complete.
            [_, of_effects @ ..]
                if of_effects.iter().any(is_refused)
                    && of_effects.iter().all(|reason| is_refused(reason) || is_fine(reason)) =>
            {
                Ok(Put::Refused(meanings(effects, of_effects)))
            }
            _ => Err(Retry::new("committing the row with its effects", error)),
        }
    }

    /// Takes back a row whose event was never published.
    ///
    /// # Errors
    /// When DynamoDB gives no answer.
    pub async fn remove(&self, key: &str, stage: StageName) -> Result<(), Retry> {
        self.client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(row_key(key, stage)))
            .send()
            .await
            .map_err(|error| Retry::new("taking a row back", error))?;
        Ok(())
    }
}

fn already_stored(item: Option<&Item>) -> Result<Put, Retry> {
    let Some(item) = item else {
        return Err(Retry::out_of_time("getting the stored row back"));
    };
    read(item).map(|row| Put::AlreadyStored(Box::new(row)))
}

/// The key of a stage's row about an order.
pub(crate) fn row_key(order_id: &str, stage: StageName) -> Item {
    Item::from([
        (ORDER_ID.to_owned(), AttributeValue::S(order_id.to_owned())),
        (STAGE.to_owned(), AttributeValue::S(stage.name().to_owned())),
    ])
}

pub(crate) fn read(item: &Item) -> Result<Row, Retry> {
    Row::from_item(item).map_err(|error| Retry::new("reading a row", error))
}

fn is_refused(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

fn is_fine(reason: &CancellationReason) -> bool {
    reason.code().is_none_or(|code| code == "None")
}

fn meanings(effects: &[Effect], reasons: &[CancellationReason]) -> Vec<FailureReason> {
    effects
        .iter()
        .zip(reasons)
        .filter(|(_, reason)| is_refused(reason))
        .map(|(effect, reason)| effect.refused.reason(reason.item()))
        .collect()
}
