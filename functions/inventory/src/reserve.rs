//! Is every item in stock? All of the order is reserved, or nothing.

use contracts::{
    Envelope, EventType, FailureCode, FailureReason, StageName,
    order::{items, quantity_by_sku},
};
use stage::{Accept, Decision, Publishes, Retry, Stage};

use crate::stock::StockTable;

/// Reserves the items of an order.
#[derive(Debug)]
pub(crate) struct Reserve {
    pub(crate) stock: StockTable,
}

impl Stage for Reserve {
    const NAME: StageName = StageName::Inventory;
    const CONSUMES: &'static [EventType] = &[EventType::OrderValidated];
    const PUBLISHES: Publishes = Publishes::Either {
        accepted: EventType::InventoryReserved,
        rejected: EventType::OrderInventoryFailed,
    };

    async fn decide(&self, event: &Envelope) -> Result<Decision, Retry> {
        let items = match items(&event.payload) {
            Ok(items) => items,
            Err(faults) => {
                let reason = FailureReason::new(FailureCode::ValidationFailed, faults.join("; "));
                return Ok(Decision::Reject(reason));
            }
        };
        let effects = quantity_by_sku(&items)
            .into_iter()
            .map(|(sku, quantity)| self.stock.hold(sku, quantity))
            .collect::<Result<_, _>>()?;
        // Made from the order, so that it is the same whenever it is made.
        let reservation_id = format!("res-{}", event.order_id);
        let fields = [("reservationId".to_owned(), reservation_id.into())];
        Ok(Decision::Accept(Accept { fields: fields.into_iter().collect(), effects }))
    }
}

#[cfg(test)]
mod tests {
    use contracts::OrderId;
    use serde_json::{Value, json};

    use super::*;

    async fn decide(payload: &Value) -> Decision {
        let envelope = Envelope::new(
            EventType::OrderValidated,
            OrderId::parse("ord-1").unwrap(),
            "corr-1".to_owned(),
            jiff::Timestamp::UNIX_EPOCH,
            payload.as_object().unwrap().clone(),
        );
        Reserve { stock: StockTable("Stock".to_owned()) }.decide(&envelope).await.unwrap()
    }

    #[tokio::test]
    async fn lines_of_one_sku_are_reserved_together() {
        let items = json!([
            { "sku": "A", "quantity": 1 }, { "sku": "B", "quantity": 1 }, { "sku": "A", "quantity": 2 },
        ]);
        let Decision::Accept(accept) = decide(&json!({ "items": items })).await else {
            panic!("the order is accepted");
        };
        assert_eq!(accept.effects.len(), 2);
        assert_eq!(accept.fields["reservationId"], "res-ord-1");
    }

    #[tokio::test]
    async fn an_order_without_items_is_rejected() {
        let Decision::Reject(reason) = decide(&json!({})).await else {
            panic!("the order is rejected");
        };
        assert_eq!(reason.to_string(), "VALIDATION_FAILED: missing items");
    }
}
