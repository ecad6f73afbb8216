//! The stages in the order of the workflow.

use std::sync::LazyLock;

use contracts::{StageName, happy_path};

/// A stage that consumes the records of an order that completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stage(StageName);

/// The topic of new orders.
pub(crate) const ORDER_CREATED: &str = "order.created";
/// The topic of all failures.
pub(crate) const ORDER_FAILED: &str = "order.failed";

impl Stage {
    pub(crate) const VALIDATOR: Self = Self(StageName::Validator);
    pub(crate) const INVENTORY: Self = Self(StageName::Inventory);
    pub(crate) const PAYMENT: Self = Self(StageName::Payment);
    pub(crate) const CLOSE: Self = Self(StageName::Close);

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        happy_path().skip(1).map(|spec| Self(spec.name)).chain([Self::CLOSE])
    }

    /// The name in the tables.
    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            StageName::Close => "order-api (close)",
            stage => stage.name(),
        }
    }

    /// The executable and function of the template.
    pub(crate) fn binary(self) -> &'static str {
        match self.0 {
            StageName::Close => ORDER_API,
            stage => stage.name(),
        }
    }

    /// The topic of its events; `None` for the close.
    pub(crate) fn publishes_to(self) -> Option<&'static str> {
        Some(self.0.spec().publishes?.accepted.topic().name())
    }
}

/// The steps of an order that completes, from its intake on, each with the topic of its event.
pub(crate) static STEPS: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let stages = Stage::all().filter_map(|stage| Some((stage.name(), stage.publishes_to()?)));
    [("intake", ORDER_CREATED)].into_iter().chain(stages).collect()
});

/// The function that takes orders and closes them.
pub(crate) const ORDER_API: &str = "order-api";
