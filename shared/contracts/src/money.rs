//! Exact amounts of money.

use std::fmt;

use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::decimal::exact;

/// The most digits before the decimal point of an order's amount.
pub(crate) const MAX_WHOLE_DIGITS: u32 = 15;

/// The most digits after the decimal point of an order's amount. With [`MAX_WHOLE_DIGITS`] the sum
/// of a group of 100 orders is exact.
pub(crate) const MAX_DECIMALS: u32 = 9;

/// An exact decimal amount; never a float. It keeps its decimals: 18.90 is printed as 18.90.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Money(Decimal);

impl Money {
    /// Reads an amount such as `99.98` or `1e3`; `None` if it is not exact within 28 digits.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut amount = exact(text)?.normalize();
        if let Some(decimals) = written_decimals(text) {
            amount.rescale(decimals);
        }
        Some(Self(amount))
    }

    #[must_use]
    pub const fn decimal(self) -> Decimal {
        self.0
    }

    /// The sum of a group of 100 such amounts is exact.
    pub(crate) fn is_bounded(self) -> bool {
        self.decimals() <= MAX_DECIMALS
            && self.0.abs() < Decimal::from(10_u64.pow(MAX_WHOLE_DIGITS))
    }

    #[must_use]
    pub fn is_above_zero(self) -> bool {
        self.0 > Decimal::ZERO
    }

    /// Decimals that the amount needs: 2 for 99.98, 0 for 100.00.
    #[must_use]
    pub fn decimals(self) -> u32 {
        self.0.normalize().scale()
    }

    /// The amount in units of its last digit: 9998 for 99.98 at 2 decimals.
    ///
    /// `None` if the amount has more decimals than that, is below zero, or overflows.
    #[must_use]
    pub fn in_units(self, decimals: u32) -> Option<u64> {
        let units = self.0.normalize().checked_mul(Decimal::from(10_u64.checked_pow(decimals)?))?;
        units.is_integer().then(|| units.to_u64()).flatten()
    }

    /// `None` on overflow.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(|sum| Self(sum.normalize()))
    }

    /// `None` on overflow.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(|difference| Self(difference.normalize()))
    }
}

/// The decimals of a text without exponent; `None` above [`MAX_DECIMALS`], where a sum might round.
fn written_decimals(text: &str) -> Option<u32> {
    let (_, decimals) = text.split_once('.').filter(|_| !text.contains(['e', 'E']))?;
    u32::try_from(decimals.len()).ok().filter(|decimals| *decimals <= MAX_DECIMALS)
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(text: &str) -> Option<Money> {
        Money::from_text(text)
    }

    #[test]
    fn an_amount_is_read_from_its_digits() {
        assert_eq!(money("0.1").unwrap().checked_add(money("0.2").unwrap()), money("0.3"));
        assert_eq!(money("1e3"), money("1000"));
        assert_eq!(money("100.00").unwrap().decimals(), 0);
        assert_eq!(money("99.980").unwrap().decimals(), 2);
        assert!(!money("-0.01").unwrap().is_above_zero());
        assert!(!money("0.00").unwrap().is_above_zero());
    }

    #[test]
    fn an_amount_is_printed_with_the_decimals_that_it_was_written_with() {
        let printed = |text| money(text).unwrap().to_string();
        for text in ["18.90", "18.9", "0.00", "-5.10", "1000", "0.123456780"] {
            assert_eq!(printed(text), text);
        }
        assert_eq!(printed("1.890e1"), "18.9");
        assert_eq!(printed("1.5000000000"), "1.5");
        assert_eq!(money("18.90"), money("18.9"));
    }

    #[test]
    fn an_amount_that_would_be_rounded_is_refused() {
        assert_eq!(money("123456789012345678901234567890"), None);
        assert_eq!(money("0.12345678901234567890123456789012"), None);
        assert_eq!(money("1.23456789012345678901234567890123e2"), None);
        assert_eq!(money("1e400"), None);
        assert_eq!(money("1e-40"), None);
    }

    #[test]
    fn an_amount_is_counted_in_units_or_not_at_all() {
        assert_eq!(money("99.98").unwrap().in_units(2), Some(9998));
        assert_eq!(money("500").unwrap().in_units(0), Some(500));
        assert_eq!(money("5.124").unwrap().in_units(3), Some(5124));
        assert_eq!(money("0.001").unwrap().in_units(2), None);
        assert_eq!(money("-1").unwrap().in_units(2), None);
        assert_eq!(money("184467440737095516.16").unwrap().in_units(2), None);
    }

    proptest! {
        #[test]
        fn units_are_the_digits_of_the_amount(units in any::<u64>(), decimals in 0_u32..4) {
            let amount = Money(Decimal::from_i128_with_scale(units.into(), decimals).normalize());
            prop_assert_eq!(amount.in_units(decimals), Some(units));
        }

        #[test]
        fn taking_away_what_was_added_gives_the_same_amount(a in 0_i64.., b in 0_i64.., scale in 0_u32..10) {
            let amount = Money(Decimal::new(a, scale));
            let other = Money(Decimal::new(b, 2));
            let sum = amount.checked_add(other).expect("the sum fits");
            prop_assert_eq!(sum.checked_sub(other), Some(amount));
        }

        #[test]
        fn an_amount_reads_back_from_its_own_text(units in any::<i64>(), scale in 0_u32..19) {
            let amount = Money(Decimal::new(units, scale).normalize());
            prop_assert_eq!(Money::from_text(&amount.to_string()), Some(amount));
        }
    }
}
