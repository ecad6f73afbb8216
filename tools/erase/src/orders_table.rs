//! Statements on the orders table.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::AttributeValue,
};
use engine::{
    Row,
    row::{Item, UnreadableRow, attribute},
};

/// The index of orders by customer; only the first row of an order is in it.
const CUSTOMER_INDEX: &str = "OrdersByCustomer";

#[derive(Debug)]
pub(crate) struct OrdersTable {
    pub(crate) client: Client,
    pub(crate) name: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    /// DynamoDB's own text could quote an item.
    #[error("{operation}: {code} (check the table's name, the permissions and the network)")]
    Failed { operation: &'static str, code: String },
    #[error(transparent)]
    Unreadable(#[from] UnreadableRow),
}

impl TableError {
    pub(crate) fn of<E: ProvideErrorMetadata, R>(
        operation: &'static str,
        error: &SdkError<E, R>,
    ) -> Self {
        let code = match error {
            SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => "no response",
            _ => error.code().unwrap_or("unknown error"),
        };
        Self::Failed { operation, code: code.to_owned() }
    }
}

/// The outcome of [`OrdersTable::replace`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    Done,
    /// The row has expired and is gone, or was replaced meanwhile.
    Changed,
}

impl OrdersTable {
    /// The ids of a customer's orders. The index may lag behind the table for a moment.
    pub(crate) async fn of_customer(&self, customer_id: &str) -> Result<Vec<String>, TableError> {
        let items: Result<Vec<Item>, _> = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(CUSTOMER_INDEX)
            .key_condition_expression("customerId = :customerId")
            .expression_attribute_values(":customerId", AttributeValue::S(customer_id.to_owned()))
            .projection_expression(attribute::ORDER_ID)
            .into_paginator()
            .items()
            .send()
            .collect()
            .await;
        let items = items.map_err(|error| TableError::of("list the customer's orders", &error))?;
        let ids = items.iter().filter_map(|item| item.get(attribute::ORDER_ID)?.as_s().ok());
        Ok(ids.cloned().collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// Every row about an order, expired ones included.
    pub(crate) async fn rows(&self, order_id: &str) -> Result<Vec<Row>, TableError> {
        let items: Result<Vec<Item>, _> = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("orderId = :orderId")
            .expression_attribute_values(":orderId", AttributeValue::S(order_id.to_owned()))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect()
            .await;
        let items = items.map_err(|error| TableError::of("read the rows of an order", &error))?;
        Ok(items.iter().map(|item| Row::from_item(item).1).collect::<Result<_, _>>()?)
    }

    /// Replaces a row, if it is still there as it was read: a row that has expired meanwhile must
    /// not come back.
    pub(crate) async fn replace(&self, old: &Row, new: &Row) -> Result<Replaced, TableError> {
        let item = old.to_item();
        let body = [attribute::EVENT, attribute::RESULT]
            .into_iter()
            .find_map(|name| Some((name, item.get(name)?.clone())));
        let Some((name, value)) = body else { return Ok(Replaced::Changed) };
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(new.to_item()))
            .condition_expression("#body = :body")
            .expression_attribute_names("#body", name)
            .expression_attribute_values(":body", value)
            .send()
            .await;
        match put {
            Ok(_) => Ok(Replaced::Done),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|it| it.is_conditional_check_failed_exception()) =>
            {
                Ok(Replaced::Changed)
            }
            Err(error) => Err(TableError::of("overwrite a row", &error)),
        }
    }
}
