//! The rules as properties of a state.
//!
//! A rule about a step is recorded in the order by the step that breaks it. `EveryOrderEnds` is
//! about states in which only faults are left; because every step makes progress, every run comes
//! to one once faults stop.

use contracts::{EventType, StageName};
use stateright::Property;

use crate::{
    configuration::{Configuration, State},
    order::{Order, Row, Terms},
    rule::Rule,
};

type Holds = fn(&Configuration, &State) -> bool;

/// All rules.
pub(crate) fn all() -> Vec<Property<Configuration>> {
    let rules: [(Rule, Holds); 13] = [
        (Rule::OneDecision, |_, state| keeps(state, Rule::OneDecision)),
        (Rule::RowsFollow, |_, state| state.orders.iter().all(rows_follow)),
        (Rule::StoredEvent, |_, state| keeps(state, Rule::StoredEvent)),
        (Rule::DoneAfterDelivery, |_, state| keeps(state, Rule::DoneAfterDelivery)),
        (Rule::StockConserved, stock_is_conserved),
        (Rule::MoneyConserved, money_is_conserved),
        (Rule::NeverBelowZero, |_, state| is_never_below_zero(state)),
        (Rule::ReleasedOnce, |_, state| state.orders.iter().all(is_released_once)),
        (Rule::NotCharged, |model, state| {
            !model.is_settled(state) || state.orders.iter().all(is_charged_if_paid)
        }),
        (Rule::CancellationTrue, |_, state| keeps(state, Rule::CancellationTrue)),
        (Rule::ClosedAsDecided, |_, state| state.orders.iter().all(is_closed_as_decided)),
        (Rule::EveryOrderEnds, |model, state| {
            !model.is_settled(state) || state.orders.iter().all(has_ended)
        }),
        (Rule::Progress, |_, state| keeps(state, Rule::Progress)),
    ];
    rules.into_iter().map(|(rule, holds)| Property::always(rule.text(), holds)).collect()
}

fn keeps(state: &State, rule: Rule) -> bool {
    !state.orders.iter().any(|order| order.has_broken(rule))
}

fn rows_follow(order: &Order) -> bool {
    use StageName::{Inventory, Notification, OrderApi, Payment, Validator};
    let needs = [
        (Validator, order.row(OrderApi).is_some()),
        (Inventory, order.has_accepted(Validator)),
        (Payment, order.early().is_some() || order.is_reserved()),
        (Notification, order.has_accepted(Payment)),
    ];
    needs.iter().all(|(stage, may_exist)| *may_exist || order.row(*stage).is_none())
}

fn holds_stock(order: &Order) -> bool {
    order.is_reserved() && order.row(StageName::Release).is_none()
}

fn sum(model: &Configuration, state: &State, of: impl Fn(&Order, &Terms) -> i64) -> i64 {
    state.orders.iter().zip(&model.orders).map(|(order, terms)| of(order, terms)).sum()
}

fn stock_is_conserved(model: &Configuration, state: &State) -> bool {
    let items = state.shared.stock.iter().zip(&model.shared.stock).enumerate();
    items.into_iter().all(|(item, (now, first))| {
        let reserved = sum(model, state, |order, terms| {
            if terms.item == item && holds_stock(order) { terms.quantity } else { 0 }
        });
        now.reserved == reserved && now.available + now.reserved == first.available
    })
}

fn money_is_conserved(model: &Configuration, state: &State) -> bool {
    let pays =
        |order: &Order| order.has_accepted(StageName::Payment) && !model.protocol.charges_outside;
    let balances = state.shared.balances.iter().zip(&model.shared.balances).enumerate();
    keeps(state, Rule::MoneyConserved)
        && balances.into_iter().all(|(customer, (now, first))| {
            let paid = sum(model, state, |order, terms| {
                if terms.customer == customer && pays(order) { terms.amount } else { 0 }
            });
            now + paid == *first
        })
}

fn is_never_below_zero(state: &State) -> bool {
    state.shared.balances.iter().all(|balance| *balance >= 0)
        && state.shared.stock.iter().all(|item| item.available >= 0 && item.reserved >= 0)
}

fn is_released_once(order: &Order) -> bool {
    match order.releases {
        0 => order.row(StageName::Release).is_none(),
        1 => order.is_reserved() && order.is_unpaid(),
        _ => false,
    }
}

/// With a provider outside: charged if the payment accepts the order, else never or refunded.
fn is_charged_if_paid(order: &Order) -> bool {
    let is_paid = order.has_accepted(StageName::Payment);
    !order.payment.is_charged() || is_paid
}

fn is_closed_as_decided(order: &Order) -> bool {
    match order.row(StageName::Close) {
        Some(Row::Closed(event)) => event.is_terminal() && order.confirms(event),
        _ => true,
    }
}

fn has_ended(order: &Order) -> bool {
    if order.row(StageName::OrderApi).is_none() {
        return true;
    }
    let is_unpaid = order.confirms(EventType::OrderPaymentFailed);
    let keeps_stock = is_unpaid && holds_stock(order);
    order.row(StageName::Close).is_some() && !keeps_stock
}
