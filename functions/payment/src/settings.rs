//! Settings of the payment provider.

use engine::Clock;
use lambda_runtime::Error;
use runtime::Environment;

use crate::{charge::Provider, stripe::StripeSettings, wallet::Wallet};

/// Settings of the provider; `None` if one is missing, which the environment reports.
pub enum ProviderSettings {
    /// Our own table.
    Wallet(Wallet),
    /// Stripe.
    Stripe(Option<Box<StripeSettings>>),
}

#[derive(Clone, Copy, Default)]
enum Choice {
    #[default]
    Wallet,
    Stripe,
}

impl ProviderSettings {
    /// Reads the choice of the provider, and its settings.
    pub fn read(environment: &mut Environment) -> Self {
        let choices = [("wallet", Choice::Wallet), ("stripe", Choice::Stripe)];
        match environment.one_of("PAYMENT_PROVIDER", &choices) {
            Choice::Wallet => Self::Wallet(Wallet {
                accounts_table: environment.required("ACCOUNTS_TABLE", "AccountsTable"),
            }),
            Choice::Stripe => Self::Stripe(StripeSettings::read(environment).map(Box::new)),
        }
    }

    /// Creates the provider.
    ///
    /// # Errors
    /// If its key cannot be read.
    pub async fn connect(self, clock: Clock) -> Result<Provider, Error> {
        match self {
            Self::Wallet(wallet) => Ok(Provider::Wallet(wallet)),
            Self::Stripe(Some(settings)) => {
                Ok(Provider::Stripe(Box::new(settings.connect(clock).await?)))
            }
            Self::Stripe(None) => Err("the settings of Stripe are missing".into()),
        }
    }
}
