//! A stub of SNS (`Publish` in the query protocol) that counts messages by order.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, routing::post};

type Messages = Arc<Mutex<HashMap<String, usize>>>;

pub struct Sns {
    pub url: String,
    messages: Messages,
}

impl Sns {
    pub async fn start() -> Self {
        let messages = Messages::default();
        let app = Router::new().route("/", post(publish)).with_state(Arc::clone(&messages));
        Self { url: super::serve(app).await, messages }
    }

    /// The number of messages for this order.
    pub fn messages(&self, order_id: &str) -> usize {
        self.messages.lock().unwrap().get(order_id).copied().unwrap_or_default()
    }
}

async fn publish(State(messages): State<Messages>, body: Bytes) -> String {
    let form = super::form(&body);
    assert_eq!(form["Action"], "Publish");
    let entry = |number: usize| format!("MessageAttributes.entry.{number}");
    let order = (1..=10)
        .find(|it| form.get(&format!("{}.Name", entry(*it))).is_some_and(|name| name == "orderId"));
    let order = order.expect("a message has an orderId");
    let order_id = form[&format!("{}.Value.StringValue", entry(order))].clone();
    *messages.lock().unwrap().entry(order_id).or_default() += 1;
    "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
     <PublishResult><MessageId>m-1</MessageId></PublishResult>\
     <ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></PublishResponse>"
        .to_owned()
}
