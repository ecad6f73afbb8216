//! The row that holds a stage's decision about an order.

use std::collections::HashMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use contracts::{Envelope, FailureCode, Object, StageName, StoredEvent, failure::failure_code};

use crate::Digest;

/// The largest item that DynamoDB takes: 400 KB, names included.
pub const MAX_ROW_BYTES: usize = 400 * 1024;

/// The largest event that a stage decides about. The room beside it is for the row's other
/// attributes, the fields that a stage adds, and the reason and source of a failure.
pub const MAX_EVENT_BYTES: usize = MAX_ROW_BYTES - 16 * 1024;

/// An item of a table.
pub type Item = HashMap<String, AttributeValue>;

/// The names of the orders table's attributes; their bytes count in every write.
pub mod attribute {
    /// The order, or the position of a malformed record: partition key.
    pub const ORDER_ID: &str = "orderId";
    /// The stage: sort key.
    pub const STAGE: &str = "stage";
    /// The exact bytes of the event that the stage publishes.
    pub const EVENT: &str = "event";
    /// The JSON object of a stage that publishes nothing.
    pub const RESULT: &str = "result";
    /// The digest of the payload that the stage decided about.
    pub const DIGEST: &str = "digest";
    /// The expiry in seconds since 1970: the TTL attribute.
    pub const EXPIRES_AT: &str = "expiresAt";
    /// The order's customer: partition key of the index of orders by customer.
    pub const CUSTOMER_ID: &str = "customerId";
    /// The time of intake: sort key of both indexes.
    pub const ACCEPTED_AT: &str = "acceptedAt";
    /// The day of intake and a shard of it: partition key of the index of orders by time.
    pub const INTAKE: &str = "intake";
}

/// The shards of a day in the index of orders by time: a partition of DynamoDB takes 1,000 writes a
/// second.
pub const INTAKE_SHARDS: u8 = 16;

/// The partition of the index of orders by time for a day, such as `2026-02-06`.
#[must_use]
pub fn intake_partition(day: &str, shard: u8) -> String {
    format!("{day}/{shard:x}")
}

/// The key of a row. Records with the same key share one decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RowKey {
    /// The order's id, or the position and digest of a malformed record.
    pub id: String,
    /// The stage that decides.
    pub stage: StageName,
}

/// One decision: of one stage, about one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub key: RowKey,
    pub body: RowBody,
    /// The digest of the payload that the stage decided about.
    pub digest: Digest,
    /// The expiry in seconds since 1970.
    pub expires_at: i64,
    /// The order's key in the index by customer. Only an order's first row has one, so that the
    /// index has one entry for each order.
    pub customer_index: Option<CustomerIndexKey>,
}

/// The key of an order in the index by customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerIndexKey {
    pub customer_id: String,
    /// The time of intake in RFC 3339 with milliseconds, so that texts sort like times.
    pub accepted_at: String,
}

/// A stored decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowBody {
    /// The event to publish.
    Event(StoredEvent),
    /// The JSON object of a stage that publishes nothing.
    Data(String),
}

/// A row that cannot be read back.
#[derive(Debug, thiserror::Error)]
#[error("cannot read row {key}: attribute {attribute:?} is missing or malformed")]
pub struct UnreadableRow {
    key: String,
    attribute: &'static str,
}

impl RowKey {
    /// The key as an item of the orders table.
    #[must_use]
    pub fn to_item(&self) -> Item {
        Item::from([
            (attribute::ORDER_ID.to_owned(), AttributeValue::S(self.id.clone())),
            (attribute::STAGE.to_owned(), AttributeValue::S(self.stage.name().to_owned())),
        ])
    }
}

impl Row {
    /// The attributes of the row, key first.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&'static str, AttributeValue)> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let body = match &self.body {
            RowBody::Event(event) => (attribute::EVENT, text(&event.body)),
            RowBody::Data(json) => (attribute::RESULT, text(json)),
        };
        let customer_id = self.customer_index.as_ref().map(|index| &index.customer_id);
        let intake = self.intake();
        let accepted_at = intake.as_ref().map(|(_, accepted_at)| *accepted_at);
        let accepted_at = accepted_at
            .or_else(|| self.customer_index.as_ref().map(|index| index.accepted_at.as_str()));
        let index = [
            customer_id.map(|it| (attribute::CUSTOMER_ID, text(it))),
            accepted_at.map(|it| (attribute::ACCEPTED_AT, text(it))),
            intake.map(|(partition, _)| (attribute::INTAKE, text(&partition))),
        ];
        [
            (attribute::ORDER_ID, text(&self.key.id)),
            (attribute::STAGE, text(self.key.stage.name())),
            body,
            (attribute::DIGEST, AttributeValue::B(Blob::new(self.digest.bytes()))),
            (attribute::EXPIRES_AT, AttributeValue::N(self.expires_at.to_string())),
        ]
        .into_iter()
        .chain(index.into_iter().flatten())
    }

    /// The row's key in the index of orders by time; only an order's first row has one.
    fn intake(&self) -> Option<(String, &str)> {
        let event = self.event().filter(|_| self.key.stage == StageName::OrderApi)?;
        let shard = Digest::of(self.key.id.as_bytes()).bytes().first()? % INTAKE_SHARDS;
        Some((intake_partition(event.timestamp.get(..10)?, shard), &event.timestamp))
    }

    /// Decided without the event of the stage: the order was cancelled or expired.
    #[must_use]
    pub fn is_early(&self) -> bool {
        self.digest == Digest::NONE
    }

    /// The event of the row; `None` if the stage publishes nothing.
    #[must_use]
    pub const fn event(&self) -> Option<&StoredEvent> {
        match &self.body {
            RowBody::Event(event) => Some(event),
            RowBody::Data(_) => None,
        }
    }

    /// The failure code of a rejection.
    #[must_use]
    pub fn rejection_code(&self) -> Option<FailureCode> {
        let event = Envelope::decode(self.event()?.body.as_bytes()).ok()?;
        failure_code(&event.payload)
    }

    /// The row as an item of the orders table.
    #[must_use]
    pub fn to_item(&self) -> Item {
        self.attributes().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Reads an item of the orders table: its key, if that is valid, and the row.
    pub fn from_item(item: &Item) -> (Option<RowKey>, Result<Self, UnreadableRow>) {
        let text = |name| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        let stage = text(attribute::STAGE).and_then(|name| StageName::from_name(&name));
        let key = text(attribute::ORDER_ID).zip(stage).map(|(id, stage)| RowKey { id, stage });
        (key.clone(), Self::read(item, key))
    }

    fn read(item: &Item, key: Option<RowKey>) -> Result<Self, UnreadableRow> {
        let text = |name| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        let name = key.as_ref().map(|key| format!("{}/{}", key.id, key.stage)).unwrap_or_default();
        let unreadable = |attribute| UnreadableRow { key: name.clone(), attribute };
        let publishes = key.as_ref().is_none_or(|key| key.stage.spec().publishes.is_some());
        let body = match (text(attribute::EVENT), text(attribute::RESULT)) {
            (None, json) if !publishes => json
                .filter(|json| Object::parse(json).is_ok())
                .map(RowBody::Data)
                .ok_or(attribute::RESULT),
            (event, _) => event
                .and_then(|body| StoredEvent::read(body).ok())
                .map(RowBody::Event)
                .ok_or(attribute::EVENT),
        };
        let digest = item.get(attribute::DIGEST).and_then(|value| value.as_b().ok());
        let expires_at = item.get(attribute::EXPIRES_AT).and_then(|value| value.as_n().ok());
        let index = text(attribute::CUSTOMER_ID).zip(text(attribute::ACCEPTED_AT));
        Ok(Self {
            customer_index: index
                .map(|(customer_id, accepted_at)| CustomerIndexKey { customer_id, accepted_at }),
            body: body.map_err(unreadable)?,
            digest: digest
                .and_then(|blob| Digest::from_bytes(blob.as_ref()))
                .ok_or_else(|| unreadable(attribute::DIGEST))?,
            expires_at: expires_at
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| unreadable(attribute::EXPIRES_AT))?,
            key: key.ok_or_else(|| unreadable(attribute::ORDER_ID))?,
        })
    }

    /// `now` is in seconds since 1970.
    #[must_use]
    pub const fn is_expired(&self, now: i64) -> bool {
        self.expires_at <= now
    }

    /// The size that DynamoDB counts: the bytes of all names and values.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let value = |value: &AttributeValue| match value {
            // A number takes a byte for two digits and one more; its text is longer than that.
            AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
            AttributeValue::B(blob) => blob.as_ref().len(),
            _ => 0,
        };
        self.attributes().map(|(name, it)| name.len() + value(&it)).sum()
    }
}
#[cfg(test)]
mod tests {
    use contracts::{EventType, OrderId};
    use jiff::Timestamp;

    use super::*;

    fn usual_row() -> Row {
        let payload = r#"{"customerId":"cust-000123","items":[{"sku":"SKU-000101","quantity":2},{"sku":"SKU-000102","quantity":1},{"sku":"SKU-000103","quantity":12}],"totalAmount":1299.98,"reservationId":"res-0192f0c1-8e50-7c30-a1b2-5f6d7e8c9a0b","paymentId":"pay-0192f0c1-8e50-7c30-a1b2-5f6d7e8c9a0b"}"#;
        let order_id = OrderId::parse("ord-0192f0c1-8e50-7c30-a1b2-5f6d7e8c9a0b").unwrap();
        let correlation_id = "corr-0192f0c1-8e50-7c30-a1b2-5f6d7e8c9a0b";
        let at = Timestamp::UNIX_EPOCH;
        let event_type = EventType::OrderCompleted;
        let event = StoredEvent::new(event_type, &order_id, correlation_id, at, payload);
        Row {
            key: RowKey { id: order_id.to_string(), stage: StageName::Notification },
            body: RowBody::Event(event),
            digest: Digest::of(payload.as_bytes()),
            expires_at: 1_800_000_000,
            customer_index: Some(CustomerIndexKey {
                customer_id: "cust-000123".to_owned(),
                accepted_at: "2026-02-06T12:00:00.000Z".to_owned(),
            }),
        }
    }

    #[test]
    fn a_row_reads_back_as_it_was_written() {
        let row = usual_row();
        assert_eq!(Row::from_item(&row.to_item()).1.unwrap(), row);
        let row = closed(r#"{"status":"COMPLETED"}"#);
        assert_eq!(Row::from_item(&row.to_item()).1.unwrap(), row);
    }

    /// The row of an order's end.
    fn closed(json: &str) -> Row {
        let key = RowKey { stage: StageName::Close, ..usual_row().key };
        let body = RowBody::Data(json.to_owned());
        Row { key, body, customer_index: None, ..usual_row() }
    }

    #[test]
    fn the_row_of_a_usual_order_costs_one_write_unit() {
        let size = usual_row().size_bytes();
        assert!(size < 1_024, "{size} bytes");
        let first = RowKey { stage: StageName::OrderApi, ..usual_row().key };
        let size = Row { key: first, ..usual_row() }.size_bytes();
        assert!(size < 1_024, "{size} bytes");
    }

    #[test]
    fn only_the_first_row_of_an_order_is_in_the_index_by_time() {
        let row = Row { customer_index: None, ..usual_row() };
        assert_eq!(row.to_item().get(attribute::INTAKE), None);
        let first = Row { key: RowKey { stage: StageName::OrderApi, ..row.key.clone() }, ..row };
        let item = first.to_item();
        let intake = item[attribute::INTAKE].as_s().unwrap();
        assert!((0..INTAKE_SHARDS).any(|it| *intake == intake_partition("1970-01-01", it)));
        let accepted_at = item[attribute::ACCEPTED_AT].as_s().unwrap();
        assert_eq!(accepted_at, &first.event().unwrap().timestamp);
        assert_eq!(Row::from_item(&item).1.unwrap(), first);
    }

    #[test]
    fn a_row_that_lacks_an_attribute_is_named() {
        for attribute in [attribute::EVENT, attribute::DIGEST, attribute::EXPIRES_AT] {
            let mut item = usual_row().to_item();
            item.remove(attribute);
            let error = Row::from_item(&item).1.unwrap_err().to_string();
            assert!(error.contains(attribute), "{error}");
        }
    }

    #[test]
    fn a_result_is_an_object_of_a_stage_that_publishes_nothing() {
        for json in ["", "[]", "COMPLETED"] {
            let error = Row::from_item(&closed(json).to_item()).1.unwrap_err().to_string();
            assert!(error.contains("attribute \"result\""), "{error}");
        }
        let of_payment = RowKey { stage: StageName::Payment, ..usual_row().key };
        let row = Row { key: of_payment, ..closed("{}") };
        let error = Row::from_item(&row.to_item()).1.unwrap_err().to_string();
        assert!(error.contains("attribute \"event\""), "{error}");
    }
}
