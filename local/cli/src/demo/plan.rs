//! The orders of a run, and the stock and balances that they need.
//!
//! Orders are generated when they are due, so memory does not grow with their number. Orders of a
//! file are kept in memory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use contracts::JsonObject;

use super::generator::Generator;
use super::orders::{Expected, Kind, Order, Repeat};
use crate::fixtures::catalogue::{Catalogue, Supply};
use crate::fixtures::holdings::Holdings;
use terminal::grouped;

/// One malformed record is published to `order.created` per this number of orders.
const ORDERS_PER_MALFORMED_RECORD: u64 = 40;
/// The number of the order with the first malformed record.
const FIRST_MALFORMED_RECORD: u64 = 5;
/// The correction of an orders file.
const CORRECTION: &str =
    "write one order per line: a JSON object with customerId, items and totalAmount";

#[derive(Debug)]
pub(crate) enum Plan {
    /// Generated from a seed.
    Made { catalogue: Catalogue, seed: u64, count: u64 },
    /// Read from a file.
    Listed { path: PathBuf, orders: Vec<Order> },
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum OrdersFileError {
    #[error(
        "cannot read the orders file {path}: {cause} ({})",
        correction(cause),
        path = path.display()
    )]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error(
        "{path}, line {line}, column {column}: {message} ({})",
        CORRECTION,
        path = path.display()
    )]
    Line { path: PathBuf, line: usize, column: usize, message: String },
    #[error("{path} has no orders ({})", CORRECTION, path = path.display())]
    Empty { path: PathBuf },
}

/// The correction of an error that reading the file had.
fn correction(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::InvalidData => "save it as UTF-8",
        _ => "use a readable file",
    }
}

impl OrdersFileError {
    fn line(path: &Path, line: usize, error: &serde_json::Error) -> Self {
        // serde_json parsed one line only, so its line number is always 1.
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or_default();
        let message = if error.is_data() { text.to_owned() } else { format!("not JSON: {text}") };
        Self::Line { path: path.to_owned(), line, column: error.column(), message }
    }
}

impl Plan {
    /// Reads a file with one payload per line. Empty lines are ignored.
    pub(crate) fn read(path: &Path) -> Result<Self, OrdersFileError> {
        let path = path.to_owned();
        let text = std::fs::read_to_string(&path)
            .map_err(|cause| OrdersFileError::Unreadable { path: path.clone(), cause })?;
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

    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Made { count, .. } => *count,
            Self::Listed { orders, .. } => u64::try_from(orders.len()).unwrap_or(u64::MAX),
        }
    }

    /// Numbers start at 0.
    pub(crate) fn order(&self, number: u64) -> Option<Order> {
        match self {
            Self::Made { catalogue, seed, count } => {
                let generator = Generator { catalogue, seed: *seed };
                (number < *count).then(|| generator.order(number))
            }
            Self::Listed { orders, .. } => orders.get(usize::try_from(number).ok()?).cloned(),
        }
    }

    /// The number of the malformed record that is sent with this order, if any.
    pub(crate) fn malformed_record_with(&self, number: u64) -> Option<u64> {
        let is_due = matches!(self, Self::Made { .. })
            && number % ORDERS_PER_MALFORMED_RECORD == FIRST_MALFORMED_RECORD;
        is_due.then_some(number / ORDERS_PER_MALFORMED_RECORD)
    }

    fn orders(&self) -> impl Iterator<Item = Order> {
        (0..self.count()).filter_map(|number| self.order(number))
    }

    /// Adds the needs of the orders to stock and balances, so that only the intended orders fail.
    pub(crate) fn supply(&self, catalogue: &Catalogue, holdings: &mut Holdings) {
        if matches!(self, Self::Listed { .. }) {
            return;
        }
        // A declined order holds its stock until the release, so it needs stock too.
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

    /// Lines with the number and the expected end of each kind.
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
        let mut lines = vec![format!("{count} orders, generated from seed {seed}:")];
        lines.extend(kinds.iter().map(|(kind, count)| {
            format!("  {:>9}  {:<30}  {}", grouped(*count), kind.name(), expected_outcome(*kind))
        }));
        let malformed = (0..self.count()).filter_map(|number| self.malformed_record_with(number));
        lines.push(format!(
            "Posted twice: {}. Cancelled: {}. Published twice to order.created: {}. \
             Malformed records: {}.",
            grouped(requests),
            grouped(cancelled),
            grouped(records),
            malformed.count(),
        ));
        lines
    }
}

fn expected_outcome(kind: Kind) -> String {
    match kind.expected() {
        Expected::Anything => "any single end".to_owned(),
        Expected::Rejected => "rejected with 400".to_owned(),
        Expected::End(event_type, None) => event_type.to_string(),
        Expected::End(event_type, Some(code)) => format!("{event_type}, {code}"),
    }
}

/// Limited stock and balances are unchanged: no order that must succeed uses them.
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

    use super::*;
    use crate::fixtures::catalogue::tests::catalogue;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_malformed_line_is_reported_with_its_number() {
        let good = r#"{"customerId":"ann","totalAmount":1e2}"#;
        for wrong in ["{\"customerId\":", "[]", "7"] {
            let file = file(&format!("{good}\n\n{wrong}\n{good}\n"));
            let error = Plan::read(file.path()).unwrap_err();
            assert!(error.to_string().contains(", line 3, column "), "{error}");
        }
        let error = Plan::read(file("not JSON\n").path()).unwrap_err().to_string();
        let expected = [", line 1, column ", ": not JSON: ", "(write one order per line: "];
        assert!(expected.iter().all(|text| error.contains(text)), "{error}");
        assert!(Plan::read(file("\n\n").path()).unwrap_err().to_string().contains("no orders"));
        assert_eq!(Plan::read(file(&format!("{good}\n{good}")).path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_its_correction() {
        let folder = tempfile::tempdir().unwrap();
        let latin = folder.path().join("latin-1");
        std::fs::write(&latin, b"{\"customerId\":\"Andr\xe9\"}\n").unwrap();
        for (path, correction) in [
            (latin, "(save it as UTF-8)"),
            (folder.path().to_owned(), "(use a readable file)"),
            (folder.path().join("missing"), "(use a readable file)"),
        ] {
            let error = Plan::read(&path).unwrap_err().to_string();
            let start = format!("cannot read the orders file {}: ", path.display());
            assert!(error.starts_with(&start) && error.ends_with(correction), "{error}");
        }
    }

    #[test]
    fn there_is_enough_for_every_order_that_must_succeed() {
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
