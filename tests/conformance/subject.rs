//! The stages under test, with each provider that a stage can have.

/// A stage under test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// The function, which is also its binary.
    pub(crate) function: &'static str,
    /// The sort key of the stage's rows.
    pub(crate) stage: &'static str,
    /// The topic that triggers it.
    pub(crate) input: &'static str,
    /// Where it publishes what it accepts; `None` for a stage that publishes nothing.
    pub(crate) output: Option<&'static str>,
    pub(crate) provider: Provider,
    /// Whether the customers of its orders have an account to pay from.
    pub(crate) has_account: bool,
    /// Whether the items of an order are reserved once the stage is done.
    pub(crate) reserves: bool,
    /// Whether the wallet is charged once the stage is done.
    pub(crate) charges_wallet: bool,
}

/// The service outside that the stage calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    None,
    Stripe,
    Sns,
}

/// A stage that calls nobody, whose customers have an account.
const PLAIN: Subject = Subject {
    name: "validator",
    function: "validator",
    stage: "validator",
    input: "order.created",
    output: Some("order.validated"),
    provider: Provider::None,
    has_account: true,
    reserves: false,
    charges_wallet: false,
};

const PAYMENT: Subject = Subject {
    name: "payment with wallet",
    function: "payment",
    stage: "payment",
    input: "order.inventory-reserved",
    output: Some("order.payment-completed"),
    reserves: true,
    charges_wallet: true,
    ..PLAIN
};

const NOTIFICATION: Subject = Subject {
    name: "notification with log",
    function: "notification",
    stage: "notification",
    input: "order.payment-completed",
    output: Some("order.completed"),
    ..PAYMENT
};

const CLOSE: Subject = Subject {
    name: "close of a completed order",
    function: "order-api",
    stage: "close",
    input: "order.completed",
    output: None,
    ..NOTIFICATION
};

/// Every stage of the workflow that a topic triggers.
pub(crate) const SUBJECTS: [Subject; 9] = [
    PLAIN,
    Subject {
        name: "inventory",
        function: "inventory",
        stage: "inventory",
        input: "order.validated",
        output: Some("order.inventory-reserved"),
        reserves: true,
        ..PLAIN
    },
    Subject {
        name: "release",
        function: "inventory",
        stage: "release",
        input: "order.failed",
        output: None,
        has_account: false,
        ..PLAIN
    },
    PAYMENT,
    Subject {
        name: "payment with stripe",
        provider: Provider::Stripe,
        charges_wallet: false,
        ..PAYMENT
    },
    NOTIFICATION,
    Subject { name: "notification with sns", provider: Provider::Sns, ..NOTIFICATION },
    CLOSE,
    Subject {
        name: "close of a failed order",
        input: "order.failed",
        has_account: false,
        charges_wallet: false,
        ..CLOSE
    },
];
