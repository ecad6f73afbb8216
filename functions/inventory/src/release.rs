//! Releases the stock of an order whose payment failed, once.

use std::fmt::Display;

use contracts::{
    Envelope, EventType, Fields, StageName,
    order::{items, quantity_by_sku},
};
use engine::{
    Decision, Needed, RowBody, Stage,
    error::{Error, PermanentError},
};

use crate::stock::StockTable;

/// Releases the stock that an order has reserved.
#[derive(Debug)]
pub struct Release {
    /// The stock table.
    pub stock: StockTable,
}

impl Stage for Release {
    const NAME: StageName = StageName::Release;
    const NEEDS: &'static [StageName] = &[StageName::Inventory];
    const ACTS_ON_STORED_EVENT: bool = true;

    /// Releases the items of the reservation's row, because the failure event may lack the payload.
    /// Without a reservation no row is stored: it would keep a later reservation forever.
    async fn decide(&self, event: &Envelope<'_>, needed: &Needed) -> Result<Decision, Error> {
        let reserved = needed.row(StageName::Inventory).and_then(|row| match &row.body {
            RowBody::Event(stored) if stored.event_type == EventType::InventoryReserved => {
                Some(stored.body.as_bytes())
            }
            _ => None,
        });
        let Some(reserved) = reserved else { return Ok(Decision::Nothing) };
        let reserved = Envelope::decode(reserved).map_err(|error| unreadable(&error))?;
        let items = items(&reserved.payload).map_err(|errors| unreadable(&errors))?;
        let effects = quantity_by_sku(&items)
            .into_iter()
            .map(|(sku, quantity)| self.stock.release(sku, quantity))
            .collect();
        let fields = Fields::default().with_string("releasedAt", &event.timestamp);
        Ok(Decision::Accept { fields, effects })
    }
}

fn unreadable(error: &dyn Display) -> PermanentError {
    PermanentError::new(format!("the reservation cannot be read ({error}): correct its row"))
}
