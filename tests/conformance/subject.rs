//! The stages under test, each with its possible providers.

#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// The function's binary.
    pub(crate) function: &'static str,
    /// The sort key of the stage's rows.
    pub(crate) stage: &'static str,
    pub(crate) input: &'static str,
    /// The topic of accepted orders; `None` for a stage that publishes nothing.
    pub(crate) output: Option<&'static str>,
    pub(crate) provider: Provider,
    /// Customers have an account in the wallet.
    pub(crate) has_account: bool,
    /// Items of an order are reserved after the stage.
    pub(crate) reserves: bool,
    /// The wallet is charged after the stage.
    pub(crate) charges_wallet: bool,
}

/// The external service that the stage calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    None,
    Stripe,
    Sns,
}

/// A stage without a provider, whose customers have an account.
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
