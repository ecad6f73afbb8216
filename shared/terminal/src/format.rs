//! Formats numbers and tables.

use comfy_table::{LineStyle, TableStyle};

/// Lines above, below, and under the header.
pub const TABLE: TableStyle = TableStyle::new()
    .top_border(LineStyle::none().fill('─').junction('─'))
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .bottom_border(LineStyle::none().fill('─').junction('─'));

/// Groups digits in thousands: `20,000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_in_thousands() {
        let grouped: Vec<_> = [0, 12, 999, 1_000, 20_000, 1_234_567].map(grouped).into();
        assert_eq!(grouped, ["0", "12", "999", "1,000", "20,000", "1,234,567"]);
    }
}
