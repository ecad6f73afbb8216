//! Notifies the subscribers of an SNS topic: one message for each order, the contract's envelope.
//!
//! A message may be published more than once, always with the same bytes. A FIFO topic drops
//! repeats within five minutes by the order id.

use std::borrow::Cow;

use aws_sdk_sns::{
    Client,
    error::{BuildError, ProvideErrorMetadata},
    operation::publish::builders::PublishFluentBuilder,
    types::MessageAttributeValue,
};
use contracts::{Envelope, EventType, StoredEvent, parse_rfc3339};
use engine::{
    Digest, TransientError,
    failpoint::{Point, reach},
};

/// The event of the message.
const EVENT_TYPE: EventType = EventType::OrderCompleted;

/// A topic of order notifications.
#[derive(Debug)]
pub struct Sns {
    client: Client,
    topic_arn: String,
}

/// The outcome of a notification.
pub(crate) enum Delivery {
    /// The topic has accepted the message.
    Sent,
    /// The topic will never accept the message, for this reason.
    Rejected(String),
}

impl Sns {
    /// Publishes to the topic of this ARN.
    pub(crate) fn new(client: Client, topic_arn: String) -> Self {
        Self { client, topic_arn }
    }

    /// Publishes the message of an order.
    pub(crate) async fn publish(
        &self,
        event: &Envelope<'_>,
        customer_id: &str,
    ) -> Result<Delivery, TransientError> {
        const OPERATION: &str = "publish to the notification topic";
        let request = self.request(event, customer_id);
        let request = request.map_err(|error| TransientError::new(OPERATION, error))?;
        reach(Point::BeforeCall);
        let sent = request.send().await;
        reach(Point::AfterCall);
        let Err(error) = sent else { return Ok(Delivery::Sent) };
        match refusal(error.code().unwrap_or_default(), error.message().unwrap_or_default()) {
            Some(why) => Ok(Delivery::Rejected(why)),
            None => Err(TransientError::aws(OPERATION, &error)),
        }
    }

    fn request(
        &self,
        event: &Envelope<'_>,
        customer_id: &str,
    ) -> Result<PublishFluentBuilder, BuildError> {
        let order_id = event.order_id.as_str();
        let request = self
            .client
            .publish()
            .topic_arn(&self.topic_arn)
            .message(message(event))
            .message_attributes("eventType", text(EVENT_TYPE.name())?)
            .message_attributes("orderId", text(order_id)?)
            .message_attributes("customerId", text(customer_id)?);
        Ok(if is_fifo(&self.topic_arn) {
            let id = fifo_id(order_id);
            // One group for each order, so that no order waits for another.
            request.message_deduplication_id(id.as_ref()).message_group_id(id)
        } else {
            request
        })
    }
}

/// The envelope of the next event, with the time at which the order was paid: the event's own time
/// is not known before the row is stored, and a repeat must have the same bytes.
fn message(event: &Envelope<'_>) -> String {
    let paid_at = parse_rfc3339(&event.timestamp).unwrap_or_default();
    let ids = (&event.order_id, event.correlation_id.as_ref());
    StoredEvent::new(EVENT_TYPE, ids.0, ids.1, paid_at, event.payload.text()).body
}

/// An attribute. SNS accepts only the characters of XML, so others become U+FFFD; the message keeps
/// them.
fn text(value: &str) -> Result<MessageAttributeValue, BuildError> {
    let is_taken = |letter: char| match letter {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        letter => letter >= ' ',
    };
    let value = value.chars().map(|it| if is_taken(it) { it } else { char::REPLACEMENT_CHARACTER });
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(value.collect::<String>())
        .build()
}

/// The order id as a FIFO topic accepts it: up to 128 graphic ASCII characters. Otherwise its
/// digest.
fn fifo_id(order_id: &str) -> Cow<'_, str> {
    let is_taken = order_id.len() <= 128 && order_id.bytes().all(|byte| byte.is_ascii_graphic());
    if is_taken {
        return Cow::Borrowed(order_id);
    }
    // No generated id has a colon.
    Cow::Owned(format!("orderId:{}", Digest::of(order_id.as_bytes())))
}

/// SNS marks FIFO topics by their name.
fn is_fifo(topic_arn: &str) -> bool {
    topic_arn.ends_with(".fifo")
}

/// The reason why SNS will never accept this message. `None` for transient errors and wrong
/// settings, which must not fail an order.
fn refusal(code: &str, message: &str) -> Option<String> {
    let is_about_the_message = match code {
        // Of the parameters, only the topic comes from the settings.
        "InvalidParameter" | "InvalidParameterValue" | "ParameterValueInvalid" => {
            !message.contains("TopicArn") && !message.contains("topic")
        }
        _ => false,
    };
    is_about_the_message.then(|| {
        let what = if message.contains("too long") {
            "the order is too large for an SNS message (256 KB)"
        } else {
            "SNS accepts no message with this orderId or customerId"
        };
        format!("{what}; notify the customer in another way")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAID: &str = r#"{"eventType":"PaymentCompleted","orderId":"ord-1","correlationId":"corr-1","timestamp":"1970-01-01T00:00:00.000Z","payload":{"customerId":"cust-1","totalAmount":12.50,"serial":123456789012345678901234567890,"paymentId":"pay-1"}}"#;

    fn event() -> Envelope<'static> {
        Envelope::decode(PAID.as_bytes()).unwrap()
    }

    fn sns(topic_arn: &str) -> Sns {
        let config = aws_sdk_sns::Config::builder()
            .behavior_version(aws_sdk_sns::config::BehaviorVersion::latest());
        Sns::new(Client::from_conf(config.build()), topic_arn.to_owned())
    }

    #[test]
    fn a_message_is_the_envelope_of_the_event_to_come_with_every_field() {
        assert_eq!(
            message(&event()),
            r#"{"eventType":"OrderCompleted","orderId":"ord-1","correlationId":"corr-1","timestamp":"1970-01-01T00:00:00.000Z","payload":{"customerId":"cust-1","totalAmount":12.50,"serial":123456789012345678901234567890,"paymentId":"pay-1"}}"#
        );
    }

    #[test]
    fn subscribers_can_filter_and_a_fifo_topic_can_drop_repeats() {
        let standard = sns("arn:aws:sns:us-east-1:1:orders").request(&event(), "cust-1").unwrap();
        let attributes = standard.get_message_attributes().clone().unwrap();
        let value = |name: &str| attributes[name].string_value().unwrap();
        assert_eq!(value("eventType"), "OrderCompleted");
        assert_eq!(value("orderId"), "ord-1");
        assert_eq!(value("customerId"), "cust-1");
        assert_eq!(*standard.get_message_deduplication_id(), None);

        let fifo = sns("arn:aws:sns:us-east-1:1:orders.fifo").request(&event(), "cust-1").unwrap();
        assert_eq!(fifo.get_message_deduplication_id().as_deref(), Some("ord-1"));
        assert_eq!(fifo.get_message_group_id().as_deref(), Some("ord-1"));
    }

    #[test]
    fn an_order_id_that_a_fifo_topic_does_not_take_is_mapped() {
        for taken in ["ord-1", &"x".repeat(128), "a/b:c#d~!"] {
            assert_eq!(fifo_id(taken), taken);
        }
        let mut mapped = Vec::new();
        for other in ["ord 1", "ord-ü", "ord-1 ", &"x".repeat(129), &"x".repeat(1_024)] {
            let id = fifo_id(other);
            assert!(id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic()), "{id}");
            assert_eq!(id, fifo_id(other));
            mapped.push(id.into_owned());
        }
        mapped.sort();
        mapped.dedup();
        assert_eq!(mapped.len(), 5);
    }

    #[test]
    fn an_attribute_holds_only_characters_that_sns_takes() {
        let value = |value| text(value).unwrap().string_value().unwrap().to_owned();
        assert_eq!(value("cust-1 ü 漢 😀\t"), "cust-1 ü 漢 😀\t");
        assert_eq!(value("a\u{0}b\u{1b}c\u{ffff}"), "a\u{fffd}b\u{fffd}c\u{fffd}");
    }

    #[test]
    fn only_a_message_that_can_never_be_taken_rejects_its_order() {
        let refused = |code, message| refusal(code, message);
        let too_long = refused("InvalidParameter", "Invalid parameter: Message too long").unwrap();
        assert!(too_long.starts_with("the order is too large"), "{too_long}");
        let invalid_id = refused(
            "InvalidParameterValue",
            "The message attribute 'customerId' with type 'String' must use an valid value.",
        );
        assert!(invalid_id.unwrap().starts_with("SNS accepts no message with this orderId"));
        for (code, message) in [
            (
                "InvalidParameter",
                "Invalid parameter: TopicArn Reason: no value for required parameter",
            ),
            (
                "InvalidParameter",
                "Invalid parameter: The MessageGroupId parameter is required for FIFO topics",
            ),
            ("NotFound", "Topic does not exist"),
            ("AuthorizationError", "User is not authorized to perform: SNS:Publish"),
            ("KMSAccessDenied", "the key"),
            ("KMSDisabled", "the key"),
            ("Throttled", "Rate exceeded"),
            ("InternalError", ""),
            ("InvalidSecurity", ""),
            ("", ""),
        ] {
            assert_eq!(refused(code, message), None, "{code}: {message}");
        }
    }
}
