//! The row that holds a stage's decision about an order.

use std::borrow::Cow;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use contracts::{JsonObject, OutgoingEvent, StageName};

use crate::{Digest, decision::Item};

/// What DynamoDB takes for one item: 400 KB, names included.
pub const MAX_ROW_BYTES: usize = 400 * 1024;

/// The names of the orders table's attributes; they count into every write.
pub mod attribute {
    /// The order, or where a bad record lies: partition key.
    pub const ORDER_ID: &str = "orderId";
    /// The stage: sort key.
    pub const STAGE: &str = "stage";
    /// The exact bytes of the event that the stage publishes.
    pub const EVENT: &str = "event";
    /// What a stage that publishes nothing keeps, as JSON.
    pub const RESULT: &str = "result";
    /// The digest of the payload that was decided about.
    pub const DIGEST: &str = "digest";
    /// When DynamoDB may remove the row, in seconds since 1970.
    pub const EXPIRES_AT: &str = "expiresAt";
    /// Whose order it is: partition key of the index of orders by customer.
    pub const CUSTOMER_ID: &str = "customerId";
    /// When the order was taken in: sort key of that index.
    pub const ACCEPTED_AT: &str = "acceptedAt";
}

/// One decision: of one stage, about one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The order's id, or the position of a record that is no event.
    pub key: String,
    /// The stage that decided.
    pub stage: StageName,
    /// What came of it.
    pub content: Content,
    /// Of the payload that was decided about.
    pub digest: Digest,
    /// When the row may go, in seconds since 1970.
    pub expires_at: i64,
    /// Where the order stands in its customer's list; only its first row says so, which keeps the
    /// index as small as the number of orders.
    pub listed: Option<Listed>,
}

/// Where an order stands in its customer's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Whose order it is.
    pub customer_id: String,
    /// When it was taken in, in RFC 3339 with milliseconds, so that texts sort as times do.
    pub accepted_at: String,
}

/// What came of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The event to publish.
    Event(OutgoingEvent),
    /// What a stage keeps that publishes nothing.
    Result(JsonObject),
}

/// A row that cannot be read back.
#[derive(Debug, thiserror::Error)]
#[error("the row of stage {stage} for {key} has no readable {attribute}")]
pub struct UnreadableRow {
    key: String,
    stage: String,
    attribute: &'static str,
}

impl Row {
    /// The row as an item of the orders table.
    #[must_use]
    pub fn to_item(&self) -> Item {
        let (name, content) = self.content_attribute();
        let stage = self.stage.name().to_owned();
        let mut item = Item::from([
            (attribute::ORDER_ID.to_owned(), AttributeValue::S(self.key.clone())),
            (attribute::STAGE.to_owned(), AttributeValue::S(stage)),
            (name.to_owned(), AttributeValue::S(content.into_owned())),
            (attribute::DIGEST.to_owned(), AttributeValue::B(Blob::new(self.digest.bytes()))),
            (attribute::EXPIRES_AT.to_owned(), AttributeValue::N(self.expires_at.to_string())),
        ]);
        item.extend(
            self.listed_attributes()
                .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned()))),
        );
        item
    }

    /// Reads a row from an item of the orders table.
    ///
    /// # Errors
    /// Where an attribute is missing or not what this crate writes.
    pub fn from_item(item: &Item) -> Result<Self, UnreadableRow> {
        let text = |name| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        let (key, stage) = (text(attribute::ORDER_ID), text(attribute::STAGE));
        let unreadable = |attribute| UnreadableRow {
            key: key.clone().unwrap_or_default(),
            stage: stage.clone().unwrap_or_default(),
            attribute,
        };
        let content = match (text(attribute::EVENT), text(attribute::RESULT)) {
            (Some(body), _) => OutgoingEvent::read(body).ok().map(Content::Event),
            (None, Some(result)) => serde_json::from_str(&result).ok().map(Content::Result),
            (None, None) => None,
        };
        let digest = item
            .get(attribute::DIGEST)
            .and_then(|value| value.as_b().ok())
            .and_then(|blob| Digest::from_bytes(blob.as_ref()));
        let expires_at = item
            .get(attribute::EXPIRES_AT)
            .and_then(|value| value.as_n().ok())
            .and_then(|number| number.parse().ok());
        let customer_id = text(attribute::CUSTOMER_ID);
        let listed = customer_id.zip(text(attribute::ACCEPTED_AT));
        Ok(Self {
            listed: listed.map(|(customer_id, accepted_at)| Listed { customer_id, accepted_at }),
            content: content.ok_or_else(|| unreadable(attribute::EVENT))?,
            digest: digest.ok_or_else(|| unreadable(attribute::DIGEST))?,
            expires_at: expires_at.ok_or_else(|| unreadable(attribute::EXPIRES_AT))?,
            stage: stage
                .as_deref()
                .and_then(StageName::from_name)
                .ok_or_else(|| unreadable(attribute::STAGE))?,
            key: key.clone().ok_or_else(|| unreadable(attribute::ORDER_ID))?,
        })
    }

    /// What DynamoDB counts for the row: the bytes of all names and values.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let (name, content) = self.content_attribute();
        let names =
            [attribute::ORDER_ID, attribute::STAGE, name, attribute::DIGEST, attribute::EXPIRES_AT];
        names.iter().map(|name| name.len()).sum::<usize>()
            + self.key.len()
            + self.stage.name().len()
            + content.len()
            + self.digest.bytes().len()
            // A number takes a byte for two digits and one more; its text is longer than that.
            + self.expires_at.to_string().len()
            + self.listed_attributes().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }

    fn listed_attributes(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.listed.iter().flat_map(|listed| {
            [
                (attribute::CUSTOMER_ID, listed.customer_id.as_str()),
                (attribute::ACCEPTED_AT, listed.accepted_at.as_str()),
            ]
        })
    }

    /// The attribute that holds the content, and its text.
    fn content_attribute(&self) -> (&'static str, Cow<'_, str>) {
        match &self.content {
            Content::Event(event) => (attribute::EVENT, Cow::Borrowed(&event.body)),
            Content::Result(result) => {
                let result = serde_json::Value::from(result.clone()).to_string();
                (attribute::RESULT, Cow::Owned(result))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::{Envelope, EventType, OrderId};
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn usual_row() -> Row {
        let payload = json!({
            "customerId": "cust-000123",
            "items": [
                { "sku": "SKU-000101", "quantity": 2 },
                { "sku": "SKU-000102", "quantity": 1 },
                { "sku": "SKU-000103", "quantity": 12 },
            ],
            "totalAmount": 1299.98,
            "reservationId": "res-0192f0c1-8e50-7c30-a1b2-5f6d7e8c9a0b",
            "paymentId": "pay-0192f0c1-8e50-7c30-a1b2-5f6d7e8c9a0b",
        });
        let order_id = OrderId::parse("ord-0192f0c1-8e50-7c30-a1b2-5f6d7e8c9a0b").unwrap();
        let payload = payload.as_object().unwrap().clone();
        let digest = Digest::of_payload(&payload);
        let envelope = Envelope::new(
            EventType::OrderCompleted,
            order_id.clone(),
            "corr-0192f0c1-8e50-7c30-a1b2-5f6d7e8c9a0b".to_owned(),
            Timestamp::UNIX_EPOCH,
            payload,
        );
        Row {
            key: order_id.to_string(),
            stage: StageName::Notification,
            content: Content::Event(OutgoingEvent::write(&envelope).unwrap()),
            digest,
            expires_at: 1_800_000_000,
            listed: Some(Listed {
                customer_id: "cust-000123".to_owned(),
                accepted_at: "2026-02-06T12:00:00.000Z".to_owned(),
            }),
        }
    }

    #[test]
    fn a_row_reads_back_as_it_was_written() {
        let row = usual_row();
        assert_eq!(Row::from_item(&row.to_item()).unwrap(), row);
        let result = json!({ "status": "COMPLETED" }).as_object().unwrap().clone();
        let row = Row { content: Content::Result(result), listed: None, ..row };
        assert_eq!(Row::from_item(&row.to_item()).unwrap(), row);
    }

    #[test]
    fn the_size_is_that_of_all_names_and_values() {
        let item = usual_row().to_item();
        let value = |value: &AttributeValue| match value {
            AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
            AttributeValue::B(blob) => blob.as_ref().len(),
            other => panic!("a row has no {other:?}"),
        };
        let size: usize = item.iter().map(|(name, it)| name.len() + value(it)).sum();
        assert_eq!(usual_row().size_bytes(), size);
    }

    #[test]
    fn the_row_of_a_usual_order_costs_one_write_unit() {
        let size = usual_row().size_bytes();
        assert!(size < 1_024, "{size} bytes");
    }

    #[test]
    fn a_row_that_lacks_an_attribute_is_named() {
        for attribute in [attribute::EVENT, attribute::DIGEST, attribute::EXPIRES_AT] {
            let mut item = usual_row().to_item();
            item.remove(attribute);
            let error = Row::from_item(&item).unwrap_err().to_string();
            assert!(error.contains(attribute), "{error}");
        }
    }
}
