//! The stages in the order of the workflow.

/// A stage that consumes records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Validator,
    Inventory,
    Payment,
    Notification,
    Close,
}

/// The topic of new orders.
pub(crate) const ORDER_CREATED: &str = "order.created";
/// The topic of completed orders.
pub(crate) const ORDER_COMPLETED: &str = "order.completed";
/// The topic of all failures.
pub(crate) const ORDER_FAILED: &str = "order.failed";

impl Stage {
    pub(crate) const ALL: [Self; 5] =
        [Self::Validator, Self::Inventory, Self::Payment, Self::Notification, Self::Close];

    /// The name in the tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Inventory => "inventory",
            Self::Payment => "payment",
            Self::Notification => "notification",
            Self::Close => "order-api (close)",
        }
    }

    /// The executable and function of the template.
    pub(crate) fn binary(self) -> &'static str {
        match self {
            Self::Close => ORDER_API,
            stage => stage.name(),
        }
    }

    /// The topic of its events; `None` for the close.
    pub(crate) fn publishes_to(self) -> Option<&'static str> {
        match self {
            Self::Validator => Some("order.validated"),
            Self::Inventory => Some("order.inventory-reserved"),
            Self::Payment => Some("order.payment-completed"),
            Self::Notification => Some(ORDER_COMPLETED),
            Self::Close => None,
        }
    }
}

/// The function that takes orders and closes them.
pub(crate) const ORDER_API: &str = "order-api";
