//! The recovery, over and over.

use std::time::Duration;

use emulator::invoke::{InvokeClient, InvokeResponse};
use emulator::template::FunctionName;
use serde_json::json;
use tokio::task::JoinHandle;
use workflow_tests::world::World;

const PAUSE: Duration = Duration::from_millis(300);

/// Recovers every open order, over and over.
pub(crate) struct Recovery(JoinHandle<()>);

impl Recovery {
    pub(crate) fn start(world: &World) -> Self {
        let mut functions = world.stack.template.functions.iter();
        let function = functions.find(|it| it.name.binary == "order-api").expect("a function");
        let (client, name) = (world.stack.invoke_client().clone(), function.name.clone());
        Self(tokio::spawn(async move {
            loop {
                recover(&client, &name).await;
                tokio::time::sleep(PAUSE).await;
            }
        }))
    }

    pub(crate) fn stop(self) {
        assert!(!self.0.is_finished(), "the recovery has failed");
        self.0.abort();
    }
}

async fn recover(client: &InvokeClient, name: &FunctionName) {
    let now = jiff::Timestamp::now();
    let since = now - jiff::SignedDuration::from_mins(10);
    let event = json!({
        "detail-type": "Scheduled Event", "time": now.to_string(),
        "detail": { "acceptedSince": since.to_string() },
    });
    let response = client.invoke(name, event.to_string().into()).await;
    assert!(matches!(response, Ok(InvokeResponse::Returned(_))), "{response:?}");
}
