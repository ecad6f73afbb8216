//! The opening file: stock, balances and what orders held and paid at one time.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{amounts, holdings::Holdings, sums::Sums};

/// The lifetime of the stages' rows, `ROW_TTL_DAYS` of `template.yaml`, less a day: what was
/// reserved after the opening must not have expired yet.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(29 * 24);

/// A saved opening.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Opening {
    pub(crate) saved_at: String,
    pub(crate) stock: BTreeMap<String, OpeningStock>,
    pub(crate) accounts: BTreeMap<String, OpeningAccount>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct OpeningStock {
    #[serde(with = "amounts")]
    pub(crate) available: Decimal,
    #[serde(with = "amounts")]
    pub(crate) reserved: Decimal,
    /// Of `reserved`, by the day on which the rows expire.
    #[serde(default, with = "amounts::by_day")]
    pub(crate) held: BTreeMap<i64, Decimal>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct OpeningAccount {
    #[serde(with = "amounts")]
    pub(crate) balance: Decimal,
    /// Taken before, by the day on which the rows expire.
    #[serde(default, with = "amounts::by_day")]
    pub(crate) charged: BTreeMap<i64, Decimal>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum OpeningError {
    #[error("cannot read the opening {path}: {cause} (give a file that --save wrote)")]
    Unreadable { path: String, cause: String },
    #[error(
        "the opening {path} is of {saved_at}: rows that were written since may have expired (save \
         a new one at least every 29 days)"
    )]
    TooOld { path: String, saved_at: String },
    #[error("cannot write {path}")]
    Unwritable {
        path: String,
        #[source]
        source: io::Error,
    },
}

impl Opening {
    pub(crate) fn read(path: &Path, now: Timestamp) -> Result<Self, OpeningError> {
        let unreadable =
            |cause: String| OpeningError::Unreadable { path: path.display().to_string(), cause };
        let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        let opening: Self =
            serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        let saved_at = contracts::parse_rfc3339(&opening.saved_at)
            .ok_or_else(|| unreadable("savedAt is not an RFC 3339 time".to_owned()))?;
        if saved_at > now {
            return Err(unreadable(format!("savedAt is {}, in the future", opening.saved_at)));
        }
        if now.duration_since(saved_at) > MAX_AGE {
            let path = path.display().to_string();
            return Err(OpeningError::TooOld { path, saved_at: opening.saved_at });
        }
        Ok(opening)
    }

    /// The opening at the time of these readings.
    pub(crate) fn of(holdings: &Holdings, sums: &Sums, now: Timestamp) -> Self {
        let stock = holdings.stock.iter().map(|(sku, stock)| {
            let held = sums.held.get(sku).cloned().unwrap_or_default();
            let (available, reserved) = (stock.available, stock.reserved);
            (sku.clone(), OpeningStock { available, reserved, held })
        });
        let accounts = holdings.accounts.iter().map(|(customer, balance)| {
            let charged = sums.charged.get(customer).cloned().unwrap_or_default();
            (customer.clone(), OpeningAccount { balance: *balance, charged })
        });
        let (stock, accounts) = (stock.collect(), accounts.collect());
        Self { saved_at: format!("{now:.3}"), stock, accounts }
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), OpeningError> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        let mut file = fs::OpenOptions::new();
        // It names customers.
        let file = file.write(true).create(true).truncate(true).mode(0o600).open(path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        let path = path.display().to_string();
        written.map_err(|source| OpeningError::Unwritable { path, source })
    }
}
