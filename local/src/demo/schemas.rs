//! Checks records against the contract and the JSON Schema of their event.

use std::collections::BTreeMap;

use contracts::{Envelope, EventType, Topic};
use jsonschema::Validator;

/// The compiled schemas of the nine events.
#[derive(Debug)]
pub(crate) struct Schemas(BTreeMap<EventType, Validator>);

/// A schema of the contract that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the JSON Schema of {event_type} cannot be used: {message}")]
pub(crate) struct SchemaError {
    event_type: EventType,
    message: String,
}

impl Schemas {
    /// Compiles the schemas, which takes a moment.
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

    /// The event of a record, or in a few words why it breaks the contract.
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

    /// An event as its stage writes it.
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
    fn an_event_that_follows_its_schema_is_taken() {
        let schemas = Schemas::compile().unwrap();
        let value = event(EventType::OrderValidated, "ord-1", &order());
        let checked = schemas.check(Topic::OrderValidated, Some(b"ord-1"), Some(&value));
        assert_eq!(checked.unwrap().order_id.as_str(), "ord-1");
    }

    #[test]
    fn a_record_that_breaks_the_contract_is_told_with_the_place() {
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
        let fault = check(Topic::OrderValidated, Some(b"ord-1"), Some(&value));
        assert!(fault.contains("/payload/items"), "{fault}");
    }
}
