//! The stages under test, each with its possible providers.

use crate::functions::function_of;
use contracts::{StageName, StageSpec, Topic, happy_path};

#[derive(Debug, Clone, Copy)]
pub struct Subject {
    pub name: &'static str,
    /// The function's binary.
    pub function: &'static str,
    /// The sort key of the stage's rows.
    pub stage: &'static str,
    pub input: &'static str,
    /// The topic of accepted orders; `None` for a stage that publishes nothing.
    pub output: Option<&'static str>,
    pub provider: Provider,
    /// Customers have an account in the wallet.
    pub has_account: bool,
    /// Items of an order are reserved after the stage.
    pub reserves: bool,
    /// The wallet is charged after the stage.
    pub charges_wallet: bool,
}

/// The external service that the stage calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    None,
    Stripe,
    Sns,
}

/// Every stage that consumes, and each provider that it may call.
pub fn subjects() -> Vec<Subject> {
    let payment = on_happy_path(StageName::Payment.spec());
    let notification = on_happy_path(StageName::Notification.spec());
    let close = Subject {
        name: "close of a completed order",
        function: function_of(StageName::Close),
        stage: StageName::Close.name(),
        input: Topic::OrderCompleted.name(),
        output: None,
        ..notification
    };
    let mut subjects: Vec<_> = happy_path().skip(1).map(on_happy_path).collect();
    subjects.extend([
        Subject {
            name: "release",
            function: function_of(StageName::Release),
            stage: StageName::Release.name(),
            input: Topic::OrderFailed.name(),
            output: None,
            has_account: false,
            charges_wallet: false,
            reserves: false,
            ..payment
        },
        Subject {
            name: "payment with stripe",
            provider: Provider::Stripe,
            charges_wallet: false,
            ..payment
        },
        Subject { name: "notification with sns", provider: Provider::Sns, ..notification },
        close,
        Subject {
            name: "close of a failed order",
            input: Topic::OrderFailed.name(),
            has_account: false,
            charges_wallet: false,
            ..close
        },
    ]);
    subjects
}

/// A stage of an order that completes, with the providers of the default settings.
fn on_happy_path(spec: &StageSpec) -> Subject {
    let input = spec.consumed_events().next().expect("the stage consumes an event");
    Subject {
        name: spec.name.name(),
        function: function_of(spec.name),
        stage: spec.name.name(),
        input: input.topic().name(),
        output: spec.publishes.map(|it| it.accepted.topic().name()),
        provider: Provider::None,
        has_account: true,
        reserves: spec.name >= StageName::Inventory,
        charges_wallet: spec.name >= StageName::Payment,
    }
}
