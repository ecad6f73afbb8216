//! Validates records against the contract and the JSON Schema of their event.

use std::collections::BTreeMap;

use contracts::{Envelope, EventType, Topic};
use jsonschema::Validator;

#[derive(Debug)]
pub(crate) struct Schemas(BTreeMap<EventType, Validator>);

#[derive(Debug, thiserror::Error)]
#[error("cannot compile the JSON Schema of {event_type}: {message}")]
pub(crate) struct SchemaError {
    event_type: EventType,
    message: String,
}

impl Schemas {
    pub(crate) fn compile() -> Result<Self, SchemaError> {
        let compiled = EventType::ALL.iter().map(|&event_type| {
            let failed = |message| SchemaError { event_type, message };
            let schema = serde_json::from_str(event_type.schema())
                .map_err(|error| failed(error.to_string()))?;
            let validator = jsonschema::options()
                .should_validate_formats(true)
                .build(&schema)
                .map_err(|error| failed(error.to_string()))?;
            Ok((event_type, validator))
        });
        Ok(Self(compiled.collect::<Result<_, _>>()?))
    }

    /// Decodes and validates a record. The error is the violated rule.
    pub(crate) fn check<'a>(
        &self,
        topic: Topic,
        key: Option<&[u8]>,
        value: Option<&'a [u8]>,
    ) -> Result<Envelope<'a>, String> {
        let value = value.ok_or("it has no value")?;
        let event = Envelope::decode(value).map_err(|malformed| malformed.to_string())?;
        if event.event_type.topic() != topic {
            return Err(format!("{} does not belong on {topic}", event.event_type));
        }
        if key != Some(event.order_id.as_str().as_bytes()) {
            return Err(format!("its key is not its orderId, {}", event.order_id));
        }
        let json = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        match self.0.get(&event.event_type).map(|schema| schema.validate(&json)) {
            Some(Err(error)) => Err(format!("{} {error}", error.instance_path())),
            _ => Ok(event),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn event(event_type: EventType, order_id: &str, payload: &Value) -> Vec<u8> {
        json!({
            "eventType": event_type.name(), "orderId": order_id, "correlationId": "corr-1",
            "timestamp": "2026-02-06T12:00:00.000Z", "payload": payload,
        })
        .to_string()
        .into_bytes()
    }

    fn order() -> Value {
        json!({
            "customerId": "ann", "items": [{ "sku": "TEA", "quantity": 1 }], "totalAmount": 4.50,
        })
    }

    #[test]
    fn an_event_that_follows_its_schema_is_accepted() {
        let schemas = Schemas::compile().unwrap();
        let value = event(EventType::OrderValidated, "ord-1", &order());
        let checked = schemas.check(Topic::OrderValidated, Some(b"ord-1"), Some(&value));
        assert_eq!(checked.unwrap().order_id.as_str(), "ord-1");
    }

    #[test]
    fn a_contract_violation_is_reported_with_its_path() {
        let schemas = Schemas::compile().unwrap();
        let check = |topic, key: Option<&[u8]>, value: Option<&[u8]>| {
            schemas.check(topic, key, value).unwrap_err()
        };
        let value = event(EventType::OrderValidated, "ord-1", &order());
        assert!(check(Topic::OrderValidated, Some(b"ord-2"), Some(&value)).contains("key"));
        assert!(check(Topic::OrderValidated, None, Some(&value)).contains("key"));
        assert!(check(Topic::OrderFailed, Some(b"ord-1"), Some(&value)).contains("belong"));
        assert!(check(Topic::OrderFailed, Some(b"ord-1"), None).contains("no value"));

        let mut wrong = order();
        wrong["items"] = json!([]);
        let value = event(EventType::OrderValidated, "ord-1", &wrong);
        let error = check(Topic::OrderValidated, Some(b"ord-1"), Some(&value));
        assert!(error.contains("/payload/items"), "{error}");
    }
}
