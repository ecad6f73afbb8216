//! The catalogue: articles, prices and customers of `events/stock-and-accounts.json`.
//!
//! What is marked `limited` stays as the file has it, so that orders for it fail whatever happens
//! first; of everything else the demo loads what its orders need on top.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use contracts::Money;
use serde::Deserialize;
use serde_json::Number;

use super::holdings::{Holdings, Stock};

/// The file, from the root of the workspace.
pub(crate) const CATALOGUE: &str = "events/stock-and-accounts.json";

/// Everything that the file says.
#[derive(Debug, Clone)]
pub(crate) struct Catalogue {
    pub(crate) articles: Vec<Article>,
    pub(crate) customers: Vec<Customer>,
}

/// Something that is sold.
#[derive(Debug, Clone)]
pub(crate) struct Article {
    pub(crate) sku: String,
    pub(crate) price: Cents,
    pub(crate) available: u64,
    pub(crate) supply: Supply,
}

/// Somebody who orders.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    pub(crate) customer_id: String,
    pub(crate) balance: Cents,
    pub(crate) supply: Supply,
}

/// Whether there is as much as the orders need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Supply {
    Plenty,
    Limited,
}

/// An amount in hundredths, for making orders; amounts that are read stay [`Money`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Cents(pub(crate) u64);

/// Why there is nothing to sell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogueError {
    #[error("cannot read {path}: the demo loads its stock and accounts from there", path = path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not as it has to be", path = path.display())]
    Malformed {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{path}: {fault}", path = path.display())]
    Unusable { path: PathBuf, fault: String },
}

#[derive(Deserialize)]
struct File {
    stock: Vec<StockLine>,
    accounts: Vec<AccountLine>,
}

#[derive(Deserialize)]
struct StockLine {
    sku: String,
    price: Number,
    available: u64,
    #[serde(default)]
    limited: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountLine {
    customer_id: String,
    balance: Number,
    #[serde(default)]
    limited: bool,
}

impl Catalogue {
    /// Reads the file of a workspace.
    pub(crate) fn read(workspace: &Path) -> Result<Self, CatalogueError> {
        let path = workspace.join(CATALOGUE);
        let text = std::fs::read_to_string(&path)
            .map_err(|source| CatalogueError::Unreadable { path: path.clone(), source })?;
        let file = serde_json::from_str(&text)
            .map_err(|source| CatalogueError::Malformed { path: path.clone(), source })?;
        Self::of(file).map_err(|fault| CatalogueError::Unusable { path, fault })
    }

    fn of(file: File) -> Result<Self, String> {
        let articles: Vec<Article> =
            file.stock.into_iter().map(StockLine::article).collect::<Result<_, _>>()?;
        let customers: Vec<Customer> =
            file.accounts.into_iter().map(AccountLine::customer).collect::<Result<_, _>>()?;
        for supply in [Supply::Plenty, Supply::Limited] {
            let has_both = articles.iter().any(|article| article.supply == supply)
                && customers.iter().any(|customer| customer.supply == supply);
            if !has_both {
                return Err("stock and accounts need one that is limited and one that is not, \
                            so that orders can fail and succeed"
                    .to_owned());
            }
        }
        Ok(Self { articles, customers })
    }

    /// What is there before the first order, as the file has it.
    pub(crate) fn holdings(&self) -> Holdings {
        let stock = self.articles.iter().map(|article| {
            (article.sku.clone(), Stock { available: article.available.into(), reserved: 0 })
        });
        let accounts: BTreeMap<_, _> = self
            .customers
            .iter()
            .map(|customer| (customer.customer_id.clone(), customer.balance.money()))
            .collect();
        Holdings { stock: stock.collect(), accounts }
    }
}

impl StockLine {
    fn article(self) -> Result<Article, String> {
        let price = Cents::read(&self.price).filter(|price| *price > Cents(0));
        let price =
            price.ok_or_else(|| format!("{}: price must be above 0.00, in cents", self.sku))?;
        let supply = supply(self.limited);
        Ok(Article { sku: self.sku, price, available: self.available, supply })
    }
}

impl AccountLine {
    fn customer(self) -> Result<Customer, String> {
        let balance = Cents::read(&self.balance)
            .ok_or_else(|| format!("{}: balance must be an amount in cents", self.customer_id))?;
        Ok(Customer { customer_id: self.customer_id, balance, supply: supply(self.limited) })
    }
}

fn supply(limited: bool) -> Supply {
    if limited { Supply::Limited } else { Supply::Plenty }
}

impl Cents {
    /// Reads an amount with at most two decimals.
    fn read(number: &Number) -> Option<Self> {
        let (units, decimals) = number.as_str().split_once('.').unwrap_or((number.as_str(), ""));
        if decimals.len() > 2 {
            return None;
        }
        format!("{units}{decimals:0<2}").parse().ok().map(Self)
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub(crate) fn times(self, quantity: u64) -> Self {
        Self(self.0.saturating_mul(quantity))
    }

    /// The digits as JSON has them.
    pub(crate) fn digits(self) -> String {
        format!("{}.{:02}", self.0 / 100, self.0 % 100)
    }

    pub(crate) fn money(self) -> Money {
        // Digits of this form are always an amount.
        Money::from_text(&self.digits()).unwrap_or_default()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small catalogue with everything that orders need.
    pub(crate) fn catalogue() -> Catalogue {
        let file = r#"{
            "stock": [
                { "sku": "TEA", "price": 4.50, "available": 10 },
                { "sku": "CUP", "price": 12, "available": 10 },
                { "sku": "POT", "price": 30.05, "available": 2, "limited": true }
            ],
            "accounts": [
                { "customerId": "ann", "balance": 100.00 },
                { "customerId": "bob", "balance": 100.00 },
                { "customerId": "poor", "balance": 0.49, "limited": true }
            ]
        }"#;
        Catalogue::of(serde_json::from_str(file).unwrap()).unwrap()
    }

    #[test]
    fn prices_are_read_to_the_cent() {
        let prices: Vec<_> =
            catalogue().articles.iter().map(|article| article.price.digits()).collect();
        assert_eq!(prices, ["4.50", "12.00", "30.05"]);
        assert_eq!(catalogue().holdings().accounts["poor"].to_string(), "0.49");
    }

    #[test]
    fn a_price_below_the_cent_is_refused() {
        for price in ["0.001", "0", "-1", "1e2"] {
            let line = StockLine {
                sku: "TEA".to_owned(),
                price: serde_json::from_str(price).unwrap(),
                available: 1,
                limited: false,
            };
            assert!(line.article().is_err(), "{price}");
        }
    }

    #[test]
    fn the_catalogue_of_the_repository_can_be_used() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let catalogue = Catalogue::read(workspace).unwrap();
        assert!(catalogue.articles.len() > 3 && catalogue.customers.len() > 3);
    }
}
