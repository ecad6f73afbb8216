//! Exact decimals: parses amounts and quantities without rounding.

use rust_decimal::Decimal;

/// The most significant digits that are kept exactly.
const MAX_DIGITS: usize = 28;

/// Reads `99.98` or `1e3`; `None` if the value would be rounded or is not a number.
pub(crate) fn exact(text: &str) -> Option<Decimal> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let significant = mantissa.bytes().filter(u8::is_ascii_digit).skip_while(|it| *it == b'0');
    if significant.count() > MAX_DIGITS {
        return None;
    }
    let mantissa = Decimal::from_str_exact(mantissa).ok()?.normalize();
    if mantissa.is_zero() {
        return Some(Decimal::ZERO);
    }
    let scale = i32::try_from(mantissa.scale()).ok()?.checked_sub(exponent)?;
    match u32::try_from(scale) {
        Ok(scale) => Decimal::try_from_i128_with_scale(mantissa.mantissa(), scale).ok(),
        Err(_) => {
            let factor = 10_i128.checked_pow(scale.unsigned_abs())?;
            let units = mantissa.mantissa().checked_mul(factor)?;
            Decimal::try_from_i128_with_scale(units, 0).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_exact_or_refused() {
        let decimal = |text| exact(text).map(|it| it.normalize().to_string());
        for (text, value) in [
            ("2", "2"),
            ("2.0", "2"),
            ("0.2e1", "2"),
            ("1e3", "1000"),
            ("-1.5E-2", "-0.015"),
            ("0e400", "0"),
            ("0.0000000000000000000000000001", "0.0000000000000000000000000001"),
        ] {
            assert_eq!(decimal(text).as_deref(), Some(value), "{text}");
        }
        for text in [
            "1.99999999999999999999999999999999999e0",
            "1.9999999999999999999999999999",
            "123456789012345678901234567890",
            "1.5e-28",
            "1e400",
            "1e-40",
            "1e99999999999",
            "one",
            "",
        ] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }
}
