//! The check of the orders of one age.

use contracts::parse_rfc3339;
use engine::Row;
use jiff::{SignedDuration, Timestamp};

use crate::progress;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Check {
    /// The time of the schedule.
    pub(crate) at: Timestamp,
    /// The least age of the orders; zero if a person asked for the check.
    pub(crate) age: SignedDuration,
}

impl Check {
    /// The age of an order, which may be overdue at the check of an earlier age: ranges overlap. No
    /// check by hand lets an order expire.
    pub(crate) fn age_of(self, rows: &[Row]) -> SignedDuration {
        if self.age.is_zero() {
            return self.age;
        }
        let intake = progress::published(rows).next();
        let intake = intake.and_then(|(_, event)| parse_rfc3339(&event.timestamp));
        intake.map_or(self.age, |intake| self.at.duration_since(intake)).max(self.age)
    }
}

#[cfg(test)]
mod tests {
    use contracts::{EventType, OrderId, StageName, StoredEvent};
    use engine::{Digest, RowBody, RowKey};

    use super::*;

    #[test]
    fn an_order_that_is_overdue_expires_at_the_check_of_an_earlier_age() {
        let (minutes, accepted) = (SignedDuration::from_mins, Timestamp::UNIX_EPOCH);
        let order_id = OrderId::parse("ord-1").unwrap();
        let event = StoredEvent::new(EventType::OrderCreated, &order_id, "corr-1", accepted, "{}");
        let row = Row {
            key: RowKey { id: order_id.to_string(), stage: StageName::OrderApi },
            body: RowBody::Event(event),
            digest: Digest::of(b"{}"),
            expires_at: 0,
            customer_index: None,
        };
        let at = accepted + minutes(11);
        for (age, age_of_order) in [(5, 11), (10, 11), (0, 0)] {
            let check = Check { at, age: minutes(age) };
            assert_eq!(check.age_of(std::slice::from_ref(&row)), minutes(age_of_order));
        }
        // Its clock was ahead of the schedule's.
        let check = Check { at: accepted - minutes(1), age: minutes(5) };
        assert_eq!(check.age_of(&[row]), minutes(5));
    }
}
