//! The orders of a run, and the stock and balances that they need.
//!
//! Orders are made one at a time when they are due, so a large run needs no more memory for them
//! than a small one; those of a file are kept.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use contracts::JsonObject;

use super::catalogue::{Catalogue, Supply};
use super::generator::Generator;
use super::holdings::Holdings;
use super::orders::{Expected, Kind, Order, Repeat};
use crate::readable::grouped;

/// Among so many orders, one malformed record is put on `order.created`.
const ORDERS_PER_MALFORMED_RECORD: u64 = 40;
/// The first order that such a record goes along with.
const FIRST_MALFORMED_RECORD: u64 = 5;

/// The orders of a run.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Made from a seed.
    Made { catalogue: Catalogue, seed: u64, count: u64 },
    /// Read from a file.
    Listed { path: PathBuf, orders: Vec<Order> },
}

/// Why a file of orders cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OrdersFileError {
    #[error("cannot read the orders file {path}", path = path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{path}, line {line}, column {column}: give one JSON object a line: {fault}",
        path = path.display()
    )]
    Line { path: PathBuf, line: usize, column: usize, fault: String },
    #[error("{path} has no orders: give one OrderCreated payload a line", path = path.display())]
    Empty { path: PathBuf },
}

impl OrdersFileError {
    fn line(path: &Path, line: usize, error: &serde_json::Error) -> Self {
        // The reader saw one line only, so its own number would mislead.
        let text = error.to_string();
        let fault = text.split(" at line ").next().unwrap_or_default().to_owned();
        Self::Line { path: path.to_owned(), line, column: error.column(), fault }
    }
}

impl Plan {
    /// The orders of a file, one payload a line; empty lines are passed over.
    pub(crate) fn read(path: &Path) -> Result<Self, OrdersFileError> {
        let path = path.to_owned();
        let text = std::fs::read_to_string(&path)
            .map_err(|source| OrdersFileError::Unreadable { path: path.clone(), source })?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let orders: Vec<_> = lines
            .map(|(index, line)| {
                let payload: JsonObject = serde_json::from_str(line)
                    .map_err(|error| OrdersFileError::line(&path, index + 1, &error))?;
                Ok(Order::new(Kind::Listed, Repeat::Nothing, &payload))
            })
            .collect::<Result<_, _>>()?;
        if orders.is_empty() {
            Err(OrdersFileError::Empty { path })
        } else {
            Ok(Self::Listed { path, orders })
        }
    }

    /// How many orders there are.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Made { count, .. } => *count,
            Self::Listed { orders, .. } => u64::try_from(orders.len()).unwrap_or(u64::MAX),
        }
    }

    /// The order of this number, from 0.
    pub(crate) fn order(&self, number: u64) -> Option<Order> {
        match self {
            Self::Made { catalogue, seed, count } => {
                let generator = Generator { catalogue, seed: *seed };
                (number < *count).then(|| generator.order(number))
            }
            Self::Listed { orders, .. } => orders.get(usize::try_from(number).ok()?).cloned(),
        }
    }

    /// The number of the malformed record that goes along with the order of this number, if any.
    pub(crate) fn malformed_record_with(&self, number: u64) -> Option<u64> {
        let is_due = matches!(self, Self::Made { .. })
            && number % ORDERS_PER_MALFORMED_RECORD == FIRST_MALFORMED_RECORD;
        is_due.then_some(number / ORDERS_PER_MALFORMED_RECORD)
    }

    fn orders(&self) -> impl Iterator<Item = Order> {
        (0..self.count()).filter_map(|number| self.order(number))
    }

    /// What the orders need on top of what the catalogue has, so that only those fail that are to.
    pub(crate) fn supply(&self, catalogue: &Catalogue, holdings: &mut Holdings) {
        if matches!(self, Self::Listed { .. }) {
            return;
        }
        // Stock that a failed payment gives back is held for a while, so it has to be there too.
        let held = |order: &Order| matches!(order.kind, Kind::Good | Kind::Declined);
        for order in self.orders().filter(held) {
            for item in &order.items {
                if let Some(stock) = holdings.stock.get_mut(&item.sku) {
                    stock.available += i128::from(item.quantity);
                }
            }
            let Some(customer_id) = order.customer_id.filter(|_| order.kind == Kind::Good) else {
                continue;
            };
            if let Some(balance) = holdings.accounts.get_mut(&customer_id) {
                *balance = balance.checked_add(order.amount).unwrap_or(*balance);
            }
        }
        debug_assert!(limited_is_untouched(catalogue, holdings));
    }

    /// The mix, and what has to come of it, in lines.
    pub(crate) fn description(&self) -> Vec<String> {
        let count = grouped(self.count());
        let seed = match self {
            Self::Made { seed, .. } => seed,
            Self::Listed { path, .. } => {
                return vec![format!("{count} orders from {}", path.display())];
            }
        };
        let mut kinds: BTreeMap<Kind, u64> = BTreeMap::new();
        let (mut requests, mut records, mut cancelled) = (0_u64, 0_u64, 0_u64);
        for order in self.orders() {
            *kinds.entry(order.kind).or_default() += 1;
            cancelled += u64::from(order.cancelled_after.is_some());
            match order.repeat {
                Repeat::Nothing => {}
                Repeat::Request => requests += 1,
                Repeat::Record => records += 1,
            }
        }
        let mut lines = vec![format!("{count} orders, made from seed {seed}:")];
        lines.extend(kinds.iter().map(|(kind, count)| {
            format!("  {:>9}  {:<30}  {}", grouped(*count), kind.name(), due(*kind))
        }));
        let malformed = (0..self.count()).filter_map(|number| self.malformed_record_with(number));
        lines.push(format!(
            "Posted twice: {}. Cancelled on their way: {}. Put on order.created twice: {}. \
             Malformed records there: {}.",
            grouped(requests),
            grouped(cancelled),
            grouped(records),
            malformed.count(),
        ));
        lines
    }
}

/// What has to come of a kind of order, in words.
fn due(kind: Kind) -> String {
    match kind.expected() {
        Expected::Anything => "any one end".to_owned(),
        Expected::Refused => "refused with 400".to_owned(),
        Expected::End(event_type, None) => event_type.to_string(),
        Expected::End(event_type, Some(code)) => format!("{event_type}, {code}"),
    }
}

/// Whether what is limited is as the catalogue has it: no order that is to succeed draws on it.
fn limited_is_untouched(catalogue: &Catalogue, holdings: &Holdings) -> bool {
    let untouched = catalogue.holdings();
    let articles = catalogue.articles.iter().filter(|article| article.supply == Supply::Limited);
    let customers = catalogue.customers.iter().filter(|one| one.supply == Supply::Limited);
    articles
        .map(|article| &article.sku)
        .all(|sku| holdings.stock.get(sku) == untouched.stock.get(sku))
        && customers
            .map(|one| &one.customer_id)
            .all(|id| holdings.accounts.get(id) == untouched.accounts.get(id))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::catalogue::tests::catalogue;
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_line_that_is_no_order_is_named_by_its_number() {
        let good = r#"{"customerId":"ann","totalAmount":1e2}"#;
        for wrong in ["{\"customerId\":", "[]", "7"] {
            let file = file(&format!("{good}\n\n{wrong}\n{good}\n"));
            let error = Plan::read(file.path()).unwrap_err();
            assert!(error.to_string().contains(", line 3, column "), "{error}");
        }
        assert!(Plan::read(file("\n\n").path()).unwrap_err().to_string().contains("no orders"));
        assert_eq!(Plan::read(file(&format!("{good}\n{good}")).path()).unwrap().count(), 2);
    }

    #[test]
    fn there_is_enough_for_every_order_that_is_to_succeed() {
        let catalogue = catalogue();
        let plan = Plan::Made { catalogue: catalogue.clone(), seed: 5, count: 500 };
        let mut holdings = catalogue.holdings();
        plan.supply(&catalogue, &mut holdings);
        for order in plan.orders().filter(|order| order.kind == Kind::Good) {
            for item in &order.items {
                let stock = holdings.stock.get_mut(&item.sku).unwrap();
                stock.available -= i128::from(item.quantity);
                assert!(stock.available >= 10);
            }
            let balance = holdings.accounts.get_mut(order.customer_id.as_deref().unwrap()).unwrap();
            *balance = balance.checked_sub(order.amount).unwrap();
            assert!(balance.is_above_zero());
        }
        assert!(limited_is_untouched(&catalogue, &holdings));
    }
}
