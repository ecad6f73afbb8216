//! What a failed payment held goes back into stock, once.

use contracts::{
    Envelope, EventType, StageName,
    order::{items, quantity_by_sku},
};
use stage::{Accept, Content, Decision, Publishes, Retry, Stage, Store};

use crate::stock::StockTable;

/// Gives back what an order held.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) stock: StockTable,
    pub(crate) orders: Store,
}

impl Stage for Release {
    const NAME: StageName = StageName::Release;
    const CONSUMES: &'static [EventType] = &[EventType::OrderPaymentFailed];
    const PUBLISHES: Publishes = Publishes::Nothing;

    /// Gives back what the reservation's own row says was held, not what the failure event says:
    /// that one may lack the payload, and might be no event of ours.
    async fn decide(&self, event: &Envelope) -> Result<Decision, Retry> {
        let row = self.orders.row(event.order_id.as_str(), StageName::Inventory).await?;
        let reserved = match row.map(|row| row.content) {
            Some(Content::Event(stored)) if stored.event_type == EventType::InventoryReserved => {
                Envelope::decode(stored.body.as_bytes())
                    .map_err(|error| Retry::new("reading the reservation", error))?
            }
            _ => return Ok(Decision::accept()),
        };
        let items = items(&reserved.payload).unwrap_or_default();
        let effects = quantity_by_sku(&items)
            .into_iter()
            .map(|(sku, quantity)| self.stock.give_back(sku, quantity))
            .collect::<Result<_, _>>()?;
        let fields = [("releasedAt".to_owned(), event.timestamp.clone().into())];
        Ok(Decision::Accept(Accept { fields: fields.into_iter().collect(), effects }))
    }
}
