//! Converts amounts to the minor units that Stripe expects.
//!
//! The lists are from docs.stripe.com/currencies.

use contracts::Money;

/// Currencies without decimals.
const WITHOUT_DECIMALS: [&str; 15] = [
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf",
    "xof", "xpf",
];

/// Currencies with three decimals, the last of which must be zero.
const WITH_THREE_DECIMALS: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];

/// Has no minor unit, but Stripe expects hundredths.
const ZERO_DECIMAL_IN_CENTS: &str = "isk";

/// Stripe's documentation lists it both as zero-decimal and in hundredths: a guess could charge a
/// hundred times too much.
const AMBIGUOUS: &str = "ugx";

/// The currency of all orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Currency {
    code: String,
    /// The decimals that an amount may have.
    decimals: u32,
    /// The decimals of Stripe's minor unit, which may be more.
    counted: u32,
}

impl Currency {
    /// Reads a three-letter code, in either case; `None` if it is malformed or ambiguous.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let code = text.to_ascii_lowercase();
        let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_lowercase());
        let (decimals, counted) = match code.as_str() {
            AMBIGUOUS => return None,
            ZERO_DECIMAL_IN_CENTS => (0, 2),
            code if WITHOUT_DECIMALS.contains(&code) => (0, 0),
            code if WITH_THREE_DECIMALS.contains(&code) => (2, 3),
            _ => (2, 2),
        };
        is_code.then_some(Self { code, decimals, counted })
    }

    /// The code as Stripe writes it: `usd`.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// The amount in minor units. Never rounded: the customer agreed to this amount.
    pub(crate) fn units(&self, amount: Money) -> Result<u64, String> {
        let units = amount.in_units(self.counted).filter(|_| amount.decimals() <= self.decimals);
        units.ok_or_else(|| {
            let (code, decimals) = (self.code.to_ascii_uppercase(), self.decimals);
            format!("{amount} {code} cannot be charged; {code} has at most {decimals} decimals")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(amount: &str, currency: &str) -> Result<u64, String> {
        Currency::parse(currency).unwrap().units(Money::from_text(amount).unwrap())
    }

    #[test]
    fn an_amount_is_counted_in_the_units_of_its_currency() {
        assert_eq!(units("99.98", "USD"), Ok(9998));
        assert_eq!(units("500", "jpy"), Ok(500));
        assert_eq!(units("5.12", "KWD"), Ok(5120));
        assert_eq!(units("5", "ISK"), Ok(500));
        assert_eq!(units("0.5", "EUR"), Ok(50));
    }

    #[test]
    fn an_amount_that_would_have_to_be_rounded_is_refused() {
        let refused = |amount, currency| units(amount, currency).unwrap_err();
        assert_eq!(
            refused("0.001", "USD"),
            "0.001 USD cannot be charged; USD has at most 2 decimals"
        );
        assert_eq!(
            refused("12.50", "JPY"),
            "12.50 JPY cannot be charged; JPY has at most 0 decimals"
        );
        assert_eq!(
            refused("5.124", "KWD"),
            "5.124 KWD cannot be charged; KWD has at most 2 decimals"
        );
        assert_eq!(refused("0.5", "ISK"), "0.5 ISK cannot be charged; ISK has at most 0 decimals");
    }

    #[test]
    fn a_currency_whose_units_are_not_known_for_sure_is_refused() {
        for text in ["", "US", "USDT", "U$D", "UGX"] {
            assert_eq!(Currency::parse(text), None, "{text}");
        }
    }
}
