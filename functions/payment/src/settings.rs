//! Which provider takes the money, and what does it have to be told?

use function::Environment;
use lambda_runtime::Error;
use stage::Clock;

use crate::{charge::Provider, stripe::StripeSettings, wallet::Wallet};

/// What is said of the provider; some of it may be missing until the environment is checked.
pub(crate) enum ProviderSettings {
    Wallet(Wallet),
    Stripe(Option<Box<StripeSettings>>),
}

#[derive(Clone, Copy, Default)]
enum Choice {
    #[default]
    Wallet,
    Stripe,
}

impl ProviderSettings {
    /// Reads the choice, and what the chosen one needs.
    pub(crate) fn read(environment: &mut Environment) -> Self {
        let choices = [("wallet", Choice::Wallet), ("stripe", Choice::Stripe)];
        match environment.choice("PAYMENT_PROVIDER", &choices) {
            Choice::Wallet => Self::Wallet(Wallet {
                accounts_table: environment.text("ACCOUNTS_TABLE", "AccountsTable"),
            }),
            Choice::Stripe => Self::Stripe(StripeSettings::read(environment).map(Box::new)),
        }
    }

    /// The provider, ready to charge.
    pub(crate) async fn connect(self, clock: Clock) -> Result<Provider, Error> {
        match self {
            Self::Wallet(wallet) => Ok(Provider::Wallet(wallet)),
            Self::Stripe(Some(settings)) => {
                Ok(Provider::Stripe(Box::new(settings.connect(clock).await?)))
            }
            Self::Stripe(None) => Err("the settings of Stripe are not complete".into()),
        }
    }
}
