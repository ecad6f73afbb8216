//! Reserves the stock of an order: every item, or none.

use contracts::{
    Envelope, FailureCode, FailureReason, Fields, StageName,
    order::{MAX_SKUS, items, quantity_by_sku},
};
use engine::{Decision, Needed, Stage, error::Error};

use crate::stock::StockTable;

/// Reserves the items of an order.
#[derive(Debug)]
pub struct Reserve {
    /// The stock table.
    pub stock: StockTable,
}

impl Stage for Reserve {
    const NAME: StageName = StageName::Inventory;

    async fn decide(&self, event: &Envelope<'_>, _: &Needed) -> Result<Decision, Error> {
        let reject = |text: String| {
            Ok(Decision::Reject(FailureReason::new(FailureCode::ValidationFailed, text)))
        };
        let items = match items(&event.payload) {
            Ok(items) => items,
            Err(errors) => return reject(errors.to_string()),
        };
        let quantities = quantity_by_sku(&items);
        // The validator rejects such an order; another producer may not.
        if quantities.len() > MAX_SKUS {
            return reject(format!("items must name at most {MAX_SKUS} different SKUs"));
        }
        let effects =
            quantities.into_iter().map(|(sku, quantity)| self.stock.reserve(sku, quantity));
        // Derived from the order, so that it is the same on every delivery.
        let reservation_id = format!("res-{}", event.order_id);
        let fields = Fields::default().with_string("reservationId", &reservation_id);
        Ok(Decision::Accept { fields, effects: effects.collect() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    async fn decide(payload: &Value) -> Decision {
        let body = json!({
            "eventType": "OrderValidated", "orderId": "ord-1", "correlationId": "corr-1",
            "timestamp": "2026-02-06T12:00:00Z", "payload": payload,
        })
        .to_string();
        let event = Envelope::decode(body.as_bytes()).unwrap();
        let reserve = Reserve { stock: StockTable("Stock".to_owned()) };
        reserve.decide(&event, &Needed::default()).await.unwrap()
    }

    #[tokio::test]
    async fn lines_of_one_sku_are_reserved_together() {
        let items = json!([
            { "sku": "A", "quantity": 1 }, { "sku": "B", "quantity": 1 }, { "sku": "A", "quantity": 2 },
        ]);
        let Decision::Accept { fields, effects } = decide(&json!({ "items": items })).await else {
            panic!("the order is accepted");
        };
        assert_eq!(effects.len(), 2);
        assert_eq!(fields.get("reservationId"), Some(r#""res-ord-1""#));
    }

    #[tokio::test]
    async fn an_order_without_items_is_rejected() {
        let Decision::Reject(reason) = decide(&json!({})).await else {
            panic!("the order is rejected");
        };
        assert_eq!(reason.to_string(), "VALIDATION_FAILED: missing items");
    }

    #[tokio::test]
    async fn an_order_that_one_transaction_cannot_hold_is_rejected() {
        let items: Value =
            (0..120).map(|it| json!({ "sku": format!("{it}"), "quantity": 1 })).collect();
        let Decision::Reject(reason) = decide(&json!({ "items": items })).await else {
            panic!("the order is rejected");
        };
        assert!(reason.to_string().contains("at most 98 different SKUs"), "{reason}");
    }
}
