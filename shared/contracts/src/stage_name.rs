//! Which stages decide about an order.

use std::fmt;

/// A stage: each stores one decision for an order, under this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StageName {
    /// Takes the order in.
    OrderApi,
    /// Checks that the order is well formed.
    Validator,
    /// Reserves the stock.
    Inventory,
    /// Charges the customer.
    Payment,
    /// Tells the customer.
    Notification,
    /// Gives the stock back after a failed payment.
    Release,
    /// Closes the order.
    Close,
}

impl StageName {
    /// Every stage, in the order of the workflow.
    pub const ALL: [Self; 7] = [
        Self::OrderApi,
        Self::Validator,
        Self::Inventory,
        Self::Payment,
        Self::Notification,
        Self::Release,
        Self::Close,
    ];

    /// The name in rows, logs and events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrderApi => "order-api",
            Self::Validator => "validator",
            Self::Inventory => "inventory",
            Self::Payment => "payment",
            Self::Notification => "notification",
            Self::Release => "release",
            Self::Close => "close",
        }
    }

    /// The stage of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
