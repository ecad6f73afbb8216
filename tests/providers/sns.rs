//! Notifications through SNS: one message for each order, with attributes for filters.

use std::collections::{BTreeMap, BTreeSet};

use contracts::{EventType, Topic};
use serde_json::{Value, json};
use workflow_tests::world::World;

use crate::{accepted, order, server};

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_get_one_message_for_each_order_with_attributes_to_filter_by() {
    let aws = Aws::new();
    let topic = aws.topic("orders", &[]).await;
    let (all, some) = (aws.queue("all", json!({})).await, aws.queue("some", json!({})).await);
    aws.subscribe(&topic, "all", None).await;
    aws.subscribe(&topic, "some", Some(json!({ "customerId": ["cust-7"] }))).await;
    let world = world(&aws, &topic).await;
    let orders = (0..200).map(|number| order(&format!("cust-{}", number % 10), "12.50"));
    let ids = accepted(&world, orders).await;
    for id in &ids {
        assert_eq!(world.ended(id).await["status"], "COMPLETED");
    }

    let messages = aws.messages(&all).await;
    println!("{} orders, {} messages", ids.len(), messages.len());
    assert_eq!(messages.len(), ids.len());
    let notified: BTreeSet<_> =
        messages.iter().map(|it| it.attributes["orderId"].clone()).collect();
    assert_eq!(notified, ids.into_iter().collect());
    let schema: Value = serde_json::from_str(EventType::OrderCompleted.schema()).unwrap();
    for message in &messages {
        let names: Vec<_> = message.attributes.keys().map(String::as_str).collect();
        assert_eq!(names, ["customerId", "eventType", "orderId"]);
        assert_eq!(message.attributes["eventType"], "OrderCompleted");
        assert!(jsonschema::is_valid(&schema, &message.body), "{}", message.body);
        assert_eq!(message.body["orderId"], message.attributes["orderId"]);
        assert_eq!(message.body["payload"]["customerId"], message.attributes["customerId"]);
        assert!(message.body["payload"]["paymentId"].is_string());
    }
    let filtered = aws.messages(&some).await;
    assert_eq!(filtered.len(), 20);
    assert!(filtered.iter().all(|it| it.attributes["customerId"] == "cust-7"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifo_topic_delivers_one_message_for_a_redelivered_event() {
    let aws = Aws::new();
    let topic = aws.topic("orders.fifo", &[("FifoTopic", "true")]).await;
    let queue = aws.queue("once.fifo", json!({ "FifoQueue": "true" })).await;
    aws.subscribe(&topic, "once.fifo", None).await;
    let mut world = world(&aws, &topic).await;
    let ids = accepted(&world, (0..10).map(|_| order("cust-7", "1"))).await;
    for id in &ids {
        // Two records of an order in one batch would share a publish.
        world.until_event(id, EventType::OrderCompleted, 1).await;
        let paid = world.until_event(id, EventType::PaymentCompleted, 1).await;
        let (_, paid) = paid.into_iter().find(|it| it.0 == EventType::PaymentCompleted).unwrap();
        world.write(Topic::PaymentCompleted, None, id, paid.as_bytes()).await;
        world.until_event(id, EventType::OrderCompleted, 2).await;
    }
    let messages = aws.messages(&queue).await;
    let notified: Vec<_> = messages.iter().map(|it| it.attributes["orderId"].clone()).collect();
    assert_eq!(notified.len(), ids.len(), "{notified:?}");
    assert_eq!(notified.into_iter().collect::<BTreeSet<_>>(), ids.into_iter().collect());
    world.stop().await;
}

/// A workflow that notifies through this topic.
async fn world(aws: &Aws, topic: &str) -> World {
    let world = World::start_with(&[
        ("NOTIFICATION_CHANNEL", "sns"),
        ("NOTIFICATION_TOPIC_ARN", topic),
        ("AWS_ENDPOINT_URL_SNS", &aws.url),
    ])
    .await;
    world.stock("SKU-1", 5_000).await;
    for number in 0..10 {
        world.account(&format!("cust-{number}"), "1000").await;
    }
    world
}

/// A message that a subscribed queue received.
struct Message {
    attributes: BTreeMap<String, String>,
    body: Value,
}

/// The local server (moto) of SNS and SQS.
struct Aws {
    url: String,
    http: reqwest::Client,
}

impl Aws {
    fn new() -> Self {
        Self { url: server("MOTO_URL"), http: workflow_tests::http_client() }
    }

    /// Creates a topic; returns its ARN.
    async fn topic(&self, name: &str, attributes: &[(&str, &str)]) -> String {
        let mut fields = vec![("Name".to_owned(), name.to_owned())];
        for (number, (name, value)) in (1..).zip(attributes) {
            fields.push((format!("Attributes.entry.{number}.key"), (*name).to_owned()));
            fields.push((format!("Attributes.entry.{number}.value"), (*value).to_owned()));
        }
        let made = self.sns("CreateTopic", &fields).await;
        let (_, arn) = made.split_once("<TopicArn>").expect("an ARN");
        arn.split('<').next().unwrap().to_owned()
    }

    /// Subscribes a queue to all messages of a topic, or to those that pass the filter.
    async fn subscribe(&self, topic: &str, queue: &str, filter: Option<Value>) {
        let queue = format!("arn:aws:sqs:us-east-1:123456789012:{queue}");
        let mut fields = vec![
            ("TopicArn".to_owned(), topic.to_owned()),
            ("Protocol".to_owned(), "sqs".to_owned()),
            ("Endpoint".to_owned(), queue),
        ];
        if let Some(filter) = filter {
            fields.push(("Attributes.entry.1.key".to_owned(), "FilterPolicy".to_owned()));
            fields.push(("Attributes.entry.1.value".to_owned(), filter.to_string()));
        }
        self.sns("Subscribe", &fields).await;
    }

    /// Creates a queue; returns its URL.
    async fn queue(&self, name: &str, attributes: Value) -> String {
        let made = json!({ "QueueName": name, "Attributes": attributes });
        let made = self.sqs("CreateQueue", &made).await;
        made["QueueUrl"].as_str().unwrap().to_owned()
    }

    /// Receives and deletes all messages of a queue.
    async fn messages(&self, queue: &str) -> Vec<Message> {
        let mut all = Vec::new();
        loop {
            let receive = json!({ "QueueUrl": queue, "MaxNumberOfMessages": 10 });
            let received = self.sqs("ReceiveMessage", &receive).await;
            let received = received["Messages"].as_array().cloned().unwrap_or_default();
            if received.is_empty() {
                return all;
            }
            for message in received {
                let delete =
                    json!({ "QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"] });
                self.sqs("DeleteMessage", &delete).await;
                all.push(Message::read(&message));
            }
        }
    }

    async fn sns(&self, action: &str, fields: &[(String, String)]) -> String {
        let action = [("Action".to_owned(), action.to_owned())];
        let request = self.http.post(&self.url).form(&[&action, fields].concat());
        let response = signed(request, "sns").send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    async fn sqs(&self, action: &str, body: &Value) -> Value {
        let request = self
            .http
            .post(&self.url)
            .header("x-amz-target", format!("AmazonSQS.{action}"))
            .header("content-type", "application/x-amz-json-1.0")
            .body(body.to_string());
        let response = signed(request, "sqs").send().await.unwrap();
        assert_eq!(response.status(), 200);
        serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default()
    }
}

impl Message {
    fn read(message: &Value) -> Self {
        let notification: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
        let attributes = notification["MessageAttributes"].as_object().unwrap().iter();
        Self {
            attributes: attributes
                .map(|(name, it)| (name.clone(), it["Value"].as_str().unwrap().to_owned()))
                .collect(),
            body: serde_json::from_str(notification["Message"].as_str().unwrap()).unwrap(),
        }
    }
}

/// Names the service in the request; moto does not check the signature.
fn signed(request: reqwest::RequestBuilder, service: &str) -> reqwest::RequestBuilder {
    let credential = format!("local/20260101/us-east-1/{service}/aws4_request");
    request.header("authorization", format!("AWS4-HMAC-SHA256 Credential={credential}"))
}
