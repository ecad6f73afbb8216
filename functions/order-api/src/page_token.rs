//! Opaque page tokens for `GET /orders`.
//!
//! It is not a secret. A token that was damaged, or made for another customer's list, is refused by
//! its digest; one that somebody makes with care leads only to orders that they may list anyway.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::{OrderId, parse_rfc3339};
use engine::Digest;

use crate::orders::OrderCursor;

/// Stands between the parts; neither a time nor a digest holds it.
const SEPARATOR: char = '\n';

/// The token of the page that begins after this order.
pub(crate) fn write(customer_id: &str, last: &OrderCursor) -> String {
    let OrderCursor { order_id, accepted_at } = last;
    let digest = digest(customer_id, accepted_at, order_id);
    let text = [digest.as_str(), accepted_at, order_id].join(&SEPARATOR.to_string());
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// The order after which the page begins; `None` for a token of no page of this list.
pub(crate) fn read(customer_id: &str, token: &str) -> Option<OrderCursor> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (said, place) = text.split_once(SEPARATOR)?;
    let (accepted_at, order_id) = place.split_once(SEPARATOR)?;
    parse_rfc3339(accepted_at)?;
    OrderId::parse(order_id)?;
    let place = OrderCursor { order_id: order_id.to_owned(), accepted_at: accepted_at.to_owned() };
    (said == digest(customer_id, accepted_at, order_id)).then_some(place)
}

fn digest(customer_id: &str, accepted_at: &str, order_id: &str) -> String {
    Digest::of([accepted_at, order_id, customer_id].join("\n").as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> OrderCursor {
        OrderCursor {
            order_id: "ord-1".to_owned(),
            accepted_at: "2026-02-06T12:00:00.000Z".to_owned(),
        }
    }

    #[test]
    fn a_token_reads_back_as_the_place_it_was_written_for() {
        let token = write("cust-1", &place());
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert_eq!(read("cust-1", &token), Some(place()));
    }

    #[test]
    fn a_token_with_any_letter_changed_is_refused() {
        let token = write("cust-1", &place());
        for index in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(read("cust-1", &changed), None, "{changed}");
        }
        assert_eq!(read("cust-1", ""), None);
    }

    #[test]
    fn a_time_that_is_not_rfc_3339_is_refused() {
        for accepted_at in ["2026-02-06T12:00:00+00:00[Europe/Paris]", "2026-02-06 12:00:00Z"] {
            let place = OrderCursor { accepted_at: accepted_at.to_owned(), ..place() };
            assert_eq!(read("cust-1", &write("cust-1", &place)), None, "{accepted_at}");
        }
    }

    #[test]
    fn a_token_of_another_customers_list_is_refused() {
        assert_eq!(read("cust-2", &write("cust-1", &place())), None);
    }
}
