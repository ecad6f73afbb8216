//! The configurations that are checked.

use crate::{Protocol, Shared, Stock, configuration::Configuration, order::Terms};

/// A good order of one unit for one unit of money.
#[must_use]
pub const fn good() -> Terms {
    Terms {
        is_valid: true,
        item: 0,
        quantity: 1,
        customer: 0,
        amount: 1,
        is_declined: false,
        repeats: false,
        cancels: false,
    }
}

const WALLET: Protocol =
    Protocol { charges_outside: false, expires: false, refunds_once: false, mutant: None };
const OUTSIDE: Protocol = Protocol { charges_outside: true, ..WALLET };

fn shared(units: i64, balances: &[i64]) -> Shared {
    Shared { stock: vec![Stock { available: units, reserved: 0 }], balances: balances.to_vec() }
}

fn configuration(
    name: &'static str,
    protocol: Protocol,
    orders: Vec<Terms>,
    shared: Shared,
    max_faults: u8,
) -> Configuration {
    Configuration { name, protocol, orders, shared, max_faults, is_reduced: true }
}

/// Every configuration; `more` faults than usual in those that are small enough: each fault more
/// multiplies the states by about 20.
#[must_use]
pub fn all(more: u8) -> Vec<Configuration> {
    let cancelled = Terms { cancels: true, ..good() };
    let repeated = Terms { repeats: true, cancels: true, ..good() };
    let invalid = Terms { is_valid: false, ..good() };
    let expiring = |protocol| Protocol { expires: true, ..protocol };
    vec![
        configuration(
            "three orders: two units, one balance for two, one cancelled",
            WALLET,
            vec![good(), Terms { cancels: true, customer: 1, ..good() }, good()],
            shared(2, &[1, 1]),
            1,
        ),
        configuration(
            "three orders, paid outside",
            OUTSIDE,
            vec![good(), cancelled.clone(), invalid],
            shared(1, &[0]),
            1 + more,
        ),
        configuration(
            "two orders for the last unit, one cancelled and repeated",
            WALLET,
            vec![repeated.clone(), good()],
            shared(1, &[2]),
            2,
        ),
        configuration(
            "release and redelivery: no balance",
            WALLET,
            vec![good(), good()],
            shared(2, &[0]),
            2 + more,
        ),
        configuration(
            "recovery, expiry and cancellation",
            expiring(WALLET),
            vec![repeated.clone()],
            shared(1, &[1]),
            2 + more,
        ),
        configuration(
            "cancellation and charge, outside",
            OUTSIDE,
            vec![repeated.clone()],
            shared(1, &[0]),
            2 + more,
        ),
        configuration(
            "cancellation after the last age of the recovery, outside",
            Protocol { refunds_once: true, ..OUTSIDE },
            vec![cancelled.clone()],
            shared(1, &[0]),
            2 + more,
        ),
        configuration(
            "recovery, expiry, cancellation and charge, outside",
            expiring(OUTSIDE),
            vec![cancelled],
            shared(1, &[0]),
            2 + more,
        ),
        configuration(
            "a declined card",
            expiring(OUTSIDE),
            vec![Terms { is_declined: true, ..repeated }],
            shared(1, &[0]),
            2,
        ),
    ]
}
