//! Refunds an order that was cancelled while it was charged.

use contracts::Envelope;
use engine::{ERASED, error::Error};

use super::{Stripe, check_ids, error::RequestError};

impl Stripe {
    /// Refunds an order's charge, once, and prevents any further charge.
    pub(crate) async fn undo(
        &self,
        event: &Envelope<'_>,
        customer: &str,
        cancelled_at: &str,
    ) -> Result<(), Error> {
        // Such an order is never charged; an erased one has no customer to look for.
        if check_ids(customer, &event.order_id).is_err() || customer == ERASED {
            return Ok(());
        }
        let result = self.refund_once(event, customer, cancelled_at).await;
        self.concluded(&event.order_id, result).map_err(|error| error.of("refund at Stripe"))
    }

    async fn refund_once(
        &self,
        event: &Envelope<'_>,
        customer: &str,
        cancelled_at: &str,
    ) -> Result<(), RequestError> {
        let is_listed = || self.is_listed_by_now(cancelled_at);
        match self.prevent_charge(event, customer, is_listed).await? {
            Some(payment) if payment.is_paid() => {
                self.client.refund(&payment.id, event.order_id.as_str()).await
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{EVENT_MADE, LIST, Server, USE_UP, next_day, paid, payments, soon};
    use super::*;

    const REFUND: &str = "POST /v1/refunds";

    fn customer() -> (u16, Value) {
        (200, json!({ "id": "cus_1" }))
    }

    fn used() -> (u16, Value) {
        (400, json!({ "error": { "type": "idempotency_error" } }))
    }

    fn refunded() -> (u16, Value) {
        (200, json!({ "id": "re_1", "status": "succeeded" }))
    }

    async fn undo(server: &Server) -> Result<(), String> {
        undo_with_kind(server).await.map_err(|error| error.chain())
    }

    async fn undo_with_kind(server: &Server) -> Result<(), Error> {
        undo_of(server, "cus_1").await
    }

    async fn undo_of(server: &Server, customer: &str) -> Result<(), Error> {
        let body = json!({
            "eventType": "InventoryReserved", "orderId": "ord-1", "correlationId": "corr-1",
            "timestamp": EVENT_MADE.to_string(), "payload": {},
        })
        .to_string();
        let event = Envelope::decode(body.as_bytes()).unwrap();
        server.stripe.undo(&event, customer, &EVENT_MADE.to_string()).await
    }

    #[tokio::test]
    async fn an_order_that_was_not_charged_costs_one_request_that_prevents_a_charge() {
        let server = Server::start(soon, &[customer()]).await;
        undo(&server).await.unwrap();
        assert_eq!(server.requests(), [USE_UP]);
        assert!(server.requests.lock().unwrap()[0].contains("Some(\"ord-1\")"));
    }

    #[tokio::test]
    async fn a_charge_is_refunded_whole_with_a_key_of_its_own() {
        let server = Server::start(soon, &[used(), (200, payments(&[paid()])), refunded()]).await;
        undo(&server).await.unwrap();
        assert_eq!(server.requests(), [USE_UP, LIST, REFUND]);
        let requests = server.requests.lock().unwrap().join("\n");
        assert!(requests.contains("Some(\"refund-pi_1\")"), "{requests}");
        assert!(requests.contains("payment_intent=pi_1&metadata%5BorderId%5D=ord-1"), "{requests}");
        assert!(!requests.contains("amount"), "{requests}");
    }

    #[tokio::test]
    async fn a_charge_that_is_refunded_already_is_done() {
        let already = json!({ "error": {
            "type": "invalid_request_error", "code": "charge_already_refunded",
        }});
        let server =
            Server::start(soon, &[used(), (200, payments(&[paid()])), (400, already)]).await;
        undo(&server).await.unwrap();
    }

    #[tokio::test]
    async fn a_refund_that_stripe_refuses_is_left_to_a_person() {
        let refused = |status, code| {
            let error = json!({ "type": "invalid_request_error", "code": code });
            (status, json!({ "error": error }))
        };
        let failed = (200, json!({ "id": "re_1", "status": "failed" }));
        for (response, is_final) in [
            (refused(400, "charge_disputed"), true),
            (failed, true),
            (refused(400, "resource_missing"), false),
            (refused(429, "rate_limit"), false),
            (refused(401, "api_key_expired"), false),
            ((500, json!({})), false),
        ] {
            let responses = [used(), (200, payments(&[paid()])), response.clone()];
            let server = Server::start(soon, &responses).await;
            let error = undo_with_kind(&server).await.unwrap_err();
            assert_eq!(matches!(error, Error::Permanent(_)), is_final, "{response:?}: {error:?}");
        }
    }

    #[tokio::test]
    async fn a_charge_that_is_still_under_way_is_awaited() {
        let in_use = json!({ "error": {
            "type": "idempotency_error", "code": "idempotency_key_in_use",
        }});
        let processing = json!({
            "id": "pi_1", "status": "processing", "metadata": { "orderId": "ord-1" },
        });
        for responses in [
            vec![(409, in_use)],
            vec![used(), (200, payments(&[processing]))],
            vec![used(), (200, payments(&[]))],
            vec![used(), (200, payments(&[paid()])), (500, json!({}))],
            vec![used(), (200, payments(&[paid()])), (200, json!({ "status": "failed" }))],
        ] {
            let server = Server::start(soon, &responses).await;
            assert!(undo(&server).await.is_err(), "{responses:?}");
        }
    }

    #[tokio::test]
    async fn an_order_of_an_unknown_customer_has_nothing_to_be_refunded() {
        let missing = || (404, json!({ "error": { "code": "resource_missing", "param": "id" } }));
        let server = Server::start(soon, &[customer(), missing(), missing()]).await;
        // Proves the key: the customer is unknown, not the account.
        server.stripe.client.payment_method("cus_2").await.unwrap().unwrap();
        undo(&server).await.unwrap();
        assert_eq!(server.requests()[1..], [USE_UP, LIST]);
    }

    #[tokio::test]
    async fn an_order_whose_data_was_erased_asks_stripe_nothing() {
        let server = Server::start(soon, &[]).await;
        undo_of(&server, ERASED).await.unwrap();
        assert!(server.requests().is_empty());
    }

    #[tokio::test]
    async fn a_charge_that_failed_is_not_refunded() {
        let declined = json!({
            "id": "pi_1", "status": "requires_payment_method", "metadata": { "orderId": "ord-1" },
            "last_payment_error": { "code": "card_declined" },
        });
        let server = Server::start(soon, &[used(), (200, payments(&[declined]))]).await;
        undo(&server).await.unwrap();
        assert_eq!(server.requests(), [USE_UP, LIST]);
    }

    #[tokio::test]
    async fn an_order_older_than_its_key_is_looked_for_though_its_key_is_free() {
        let server =
            Server::start(next_day, &[customer(), (200, payments(&[paid()])), refunded()]).await;
        undo(&server).await.unwrap();
        assert_eq!(server.requests(), [USE_UP, LIST, REFUND]);
        // A used key whose charge is not listed by then belongs to a charge that was not made.
        let server = Server::start(next_day, &[used(), (200, payments(&[]))]).await;
        undo(&server).await.unwrap();
    }
}
