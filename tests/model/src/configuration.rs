//! A bounded world that is searched exhaustively: some orders, and a number of faults.

use std::cmp::Ordering;

use stateright::{Model, Property};

use crate::{
    Protocol, Shared,
    order::{Order, Terms},
    progress::rank,
    properties,
    protocol::Step,
    rule::Rule,
};

/// Some orders, what they share, and the faults that may strike them.
#[derive(Debug, Clone)]
pub struct Configuration {
    pub name: &'static str,
    pub protocol: Protocol,
    pub orders: Vec<Terms>,
    pub shared: Shared,
    pub max_faults: u8,
    /// Leaves out interleavings of steps that do not touch what orders share.
    pub is_reduced: bool,
}

/// The state of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub orders: Vec<Order>,
    pub shared: Shared,
    pub faults_left: u8,
}

/// A step of one of the orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    pub order: usize,
    pub step: Step,
}

impl Configuration {
    /// Every step of an order.
    fn all_steps(&self, state: &State, index: usize) -> Vec<Step> {
        let order = &state.orders[index];
        let mut steps: Vec<_> = self.protocol.steps(order).collect();
        if state.faults_left > 0 {
            let faults = self.protocol.faults(&self.orders[index], order);
            steps.extend(faults.into_iter().map(Step::Fault));
        }
        steps
    }

    /// Only faults are left to happen.
    #[must_use]
    pub fn is_settled(&self, state: &State) -> bool {
        state.orders.iter().all(|order| self.protocol.steps(order).next().is_none())
    }

    /// An order that makes a step on its own, whatever the others do, before theirs: no other order
    /// can tell the difference.
    fn first_alone(&self, state: &State) -> Option<(usize, Vec<Step>)> {
        (0..state.orders.len()).find_map(|index| {
            let is_under_way = self.protocol.steps(&state.orders[index]).next().is_some();
            let steps = if is_under_way { self.all_steps(state, index) } else { Vec::new() };
            let is_alone = is_under_way && !steps.iter().any(|it| self.protocol.is_shared(*it));
            is_alone.then_some((index, steps))
        })
    }
}

impl Model for Configuration {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let orders = self.orders.iter().map(Order::new).collect();
        vec![State { orders, shared: self.shared.clone(), faults_left: self.max_faults }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut add = |order, steps: Vec<Step>| {
            actions.extend(steps.into_iter().map(|step| Action { order, step }));
        };
        if self.is_reduced
            && let Some((order, steps)) = self.first_alone(state)
        {
            return add(order, steps);
        }
        for order in 0..state.orders.len() {
            add(order, self.all_steps(state, order));
        }
    }

    fn next_state(&self, state: &State, Action { order: index, step }: Action) -> Option<State> {
        let mut next = state.clone();
        let order = &mut next.orders[index];
        let before = rank(order);
        self.protocol.apply(&self.orders[index], order, &mut next.shared, step);
        if matches!(step, Step::Fault(_)) {
            next.faults_left -= 1;
        } else if rank(order).cmp(&before) != Ordering::Less {
            order.breaks(Rule::Progress);
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
