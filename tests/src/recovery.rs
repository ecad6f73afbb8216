//! The recovery by hand.

use emulator::{
    invoke::{InvokeClient, InvokeResponse},
    template::FunctionName,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::world::World;

/// Recovers all orders of the last ten minutes.
#[derive(Debug)]
pub struct Recovery {
    client: InvokeClient,
    function: FunctionName,
}

impl Recovery {
    #[must_use]
    pub fn of(world: &World) -> Self {
        let mut functions = world.stack.template.functions.iter();
        let function = functions.find(|it| it.name.binary == "order-api").expect("a function");
        Self { client: world.stack.invoke_client().clone(), function: function.name.clone() }
    }

    /// Invokes it once.
    pub async fn run(&self) {
        let now = Timestamp::now();
        let since = now - SignedDuration::from_mins(10);
        let event = json!({
            "detail-type": "Scheduled Event", "time": now.to_string(),
            "detail": { "acceptedSince": since.to_string() },
        });
        let response = self.client.invoke(&self.function, event.to_string().into()).await;
        assert!(matches!(response, Ok(InvokeResponse::Returned(_))), "{response:?}");
    }
}
