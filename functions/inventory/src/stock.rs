//! Effects on the stock table.
//!
//! `available + reserved` of a SKU never changes here, and `available` never falls below zero.

use contracts::{FailureCode, FailureReason};
use engine::Effect;
use rust_decimal::Decimal;

const AVAILABLE: &str = "available";
const RESERVED: &str = "reserved";

/// The name of the stock table: keyed by `sku`, with the numbers `available` and `reserved`.
#[derive(Debug, Clone)]
pub struct StockTable(pub String);

impl StockTable {
    /// Moves a quantity from available to reserved, if it is available.
    pub(crate) fn reserve(&self, sku: &str, quantity: u64) -> Effect {
        let quantity = Decimal::from(quantity);
        Effect {
            adds: vec![(AVAILABLE, -quantity), (RESERVED, quantity)],
            floor: AVAILABLE,
            refused: shortage,
            ..self.effect(sku)
        }
    }

    /// Moves a reserved quantity back to available.
    pub(crate) fn release(&self, sku: &str, quantity: u64) -> Effect {
        let quantity = Decimal::from(quantity);
        Effect {
            adds: vec![(AVAILABLE, quantity), (RESERVED, -quantity)],
            floor: RESERVED,
            refused: |effect, _| {
                let text = format!(
                    "less than {} of {} is reserved: correct the stock table",
                    effect.needs(),
                    effect.key.1
                );
                FailureReason::new(FailureCode::OutOfStock, text)
            },
            ..self.effect(sku)
        }
    }

    fn effect(&self, sku: &str) -> Effect {
        Effect {
            table: self.0.clone(),
            key: ("sku", sku.to_owned()),
            is_key_loggable: true,
            adds: Vec::new(),
            floor: AVAILABLE,
            refused: shortage,
        }
    }
}

fn shortage(effect: &Effect, available: Option<Decimal>) -> FailureReason {
    let sku = &effect.key.1;
    match available {
        None => FailureReason::new(FailureCode::UnknownSku, format!("{sku} is not sold here")),
        Some(available) => FailureReason::new(
            FailureCode::OutOfStock,
            format!("{sku} wanted {}, available {available}", effect.needs()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_names_the_quantities_wanted_and_available() {
        let effect = StockTable("Stock".to_owned()).reserve("SKU-1", 3);
        let refused = |available| (effect.refused)(&effect, available).to_string();
        assert_eq!(refused(Some(Decimal::TWO)), "OUT_OF_STOCK: SKU-1 wanted 3, available 2");
        assert_eq!(refused(None), "UNKNOWN_SKU: SKU-1 is not sold here");
    }

    #[test]
    fn what_is_reserved_is_released_again() {
        let stock = StockTable("Stock".to_owned());
        let (reserve, release) = (stock.reserve("A", 2), stock.release("A", 2));
        for (reserved, released) in reserve.adds.iter().zip(&release.adds) {
            assert_eq!(reserved.0, released.0);
            assert_eq!(reserved.1 + released.1, Decimal::ZERO);
        }
        assert_eq!((reserve.needs(), release.needs()), (Decimal::TWO, Decimal::TWO));
    }
}
