//! Stock and balances, compared with the rows and an opening.

use crate::{
    finding::{Finding, Kind},
    holdings::{Holdings, Stock},
    opening::Opening,
    sums::{Sums, after},
};

impl Holdings {
    /// The findings about each SKU and customer whose item is the same in both readings, and those
    /// that moved and do not agree.
    pub(crate) fn compare(
        &self,
        later: &Self,
        sums: &Sums,
        opening: Option<&Opening>,
    ) -> (Vec<Finding>, Vec<String>) {
        let (mut findings, mut moving) = (self.findings.clone(), Vec::new());
        let opened = opening.iter().flat_map(|opening| opening.stock.keys());
        let mut skus: Vec<&String> =
            self.stock.keys().chain(sums.held.keys()).chain(opened).collect();
        skus.sort_unstable();
        skus.dedup();
        for sku in skus {
            let wrong = self.wrong_stock(sku, sums, opening);
            match self.stock.get(sku) == later.stock.get(sku) {
                true => findings.extend(wrong),
                false if wrong.is_empty() => {}
                false => moving.push(sku.clone()),
            }
        }
        for customer in opening.iter().flat_map(|opening| opening.accounts.keys()) {
            let wrong = opening.and_then(|it| self.wrong_balance(customer, sums, it));
            match self.accounts.get(customer) == later.accounts.get(customer) {
                true => findings.extend(wrong),
                false if wrong.is_none() => {}
                false => moving.push(customer.clone()),
            }
        }
        (findings, moving)
    }

    fn wrong_stock(&self, sku: &str, sums: &Sums, opening: Option<&Opening>) -> Vec<Finding> {
        let held = after(sums.held.get(sku), sums.today);
        let Some(Stock { available, reserved }) = self.stock.get(sku).copied() else {
            // A malformed item has its own finding.
            let is_absent = self.findings.iter().all(|it| it.subject != sku);
            let reserved = (!held.is_zero()).then(|| {
                let expected = format!("reserved {held}, which orders hold");
                Finding::new(Kind::ReservedStock, sku, expected, "no item")
            });
            let gone = || {
                let opening = opening?.stock.get(sku)?;
                let total = opening.available + opening.reserved;
                let expected = format!("an item of {total}, by the opening");
                Some(Finding::new(Kind::TotalStock, sku, expected, "no item"))
            };
            return Vec::from_iter(reserved.or_else(gone).filter(|_| is_absent));
        };
        let found = format!("reserved {reserved}");
        let Some(opening) = opening.and_then(|opening| opening.stock.get(sku)) else {
            // Orders whose rows have expired still hold stock.
            let expected = format!("reserved {held} or more, because orders hold {held}");
            return Vec::from_iter(
                (reserved < held).then(|| Finding::new(Kind::ReservedStock, sku, expected, found)),
            );
        };
        let total = opening.available + opening.reserved;
        let should = opening.reserved + held - after(Some(&opening.held), sums.today);
        [
            (should != reserved).then(|| {
                let expected = format!("reserved {should}, by the opening and the rows");
                Finding::new(Kind::ReservedStock, sku, expected, found)
            }),
            // A wrong reservation alone moves the total too.
            (should == reserved && total != available + reserved).then(|| {
                let expected = format!("available {}, by the opening and the rows", total - should);
                Finding::new(Kind::TotalStock, sku, expected, format!("available {available}"))
            }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn wrong_balance(&self, customer: &str, sums: &Sums, opening: &Opening) -> Option<Finding> {
        let opening = opening.accounts.get(customer)?;
        let charged = after(sums.charged.get(customer), sums.today);
        let should = opening.balance - charged + after(Some(&opening.charged), sums.today);
        let balance = self.accounts.get(customer).copied();
        let found = balance.map_or_else(|| "no item".to_owned(), |it| format!("balance {it}"));
        let is_reported = self.findings.iter().any(|it| it.subject == customer);
        (balance != Some(should) && !is_reported).then(|| {
            let expected = format!("balance {}, by the opening and the rows", should.normalize());
            Finding::new(Kind::Balance, customer, expected, found)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rust_decimal::Decimal;

    use crate::opening::{OpeningAccount, OpeningStock};

    use super::*;

    const SAVED: i64 = 20_000;

    /// An opening with 8 reserved and 30 charged, of which some expire on the next day.
    fn opening() -> Opening {
        let days = |today: i64, later: i64| {
            BTreeMap::from([(SAVED + 1, Decimal::from(today)), (SAVED + 20, Decimal::from(later))])
        };
        let (available, reserved) = (Decimal::from(92), Decimal::from(8));
        let stock = OpeningStock { available, reserved, held: days(5, 3) };
        let account = OpeningAccount { balance: Decimal::from(70), charged: days(20, 10) };
        Opening {
            saved_at: String::new(),
            stock: BTreeMap::from([("TEA".to_owned(), stock)]),
            accounts: BTreeMap::from([("cust-1".to_owned(), account)]),
        }
    }

    /// The rows a day later: some have expired, and a new order holds 2 and took 6.
    fn sums() -> Sums {
        let mut sums = Sums { today: SAVED + 1, with_charges: true, ..Sums::default() };
        let days = |old: i64, new: i64| {
            BTreeMap::from([(SAVED + 20, Decimal::from(old)), (SAVED + 31, Decimal::from(new))])
        };
        sums.held.insert("TEA".to_owned(), days(3, 2));
        sums.charged.insert("cust-1".to_owned(), days(10, 6));
        sums
    }

    fn holdings(available: i64, reserved: i64, balance: i64) -> Holdings {
        let stock =
            Stock { available: Decimal::from(available), reserved: Decimal::from(reserved) };
        Holdings {
            stock: BTreeMap::from([("TEA".to_owned(), stock)]),
            accounts: BTreeMap::from([("cust-1".to_owned(), Decimal::from(balance))]),
            findings: Vec::new(),
        }
    }

    fn findings(now: &Holdings, opening: Option<&Opening>) -> Vec<Kind> {
        let (findings, moving) = now.compare(now, &sums(), opening);
        assert_eq!(moving, Vec::<String>::new());
        findings.into_iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn orders_whose_rows_have_expired_still_hold_and_have_paid() {
        let opening = opening();
        assert_eq!(findings(&holdings(90, 10, 64), Some(&opening)), []);
        assert_eq!(findings(&holdings(90, 5, 64), Some(&opening)), [Kind::ReservedStock]);
        assert_eq!(findings(&holdings(91, 10, 64), Some(&opening)), [Kind::TotalStock]);
        assert_eq!(findings(&holdings(90, 10, 58), Some(&opening)), [Kind::Balance]);
    }

    #[test]
    fn an_article_of_the_opening_that_is_gone_is_damage() {
        let opening = opening();
        let mut gone = holdings(90, 10, 64);
        gone.stock.clear();
        assert_eq!(findings(&gone, Some(&opening)), [Kind::ReservedStock]);
        let (holds_none, _) = gone.compare(&gone, &Sums::default(), Some(&opening));
        assert!(holds_none.iter().any(|it| it.kind == Kind::TotalStock), "{holds_none:?}");
    }

    #[test]
    fn without_an_opening_only_too_little_reserved_is_damage() {
        assert_eq!(findings(&holdings(1, 100, 0), None), []);
        assert_eq!(findings(&holdings(1, 4, 0), None), [Kind::ReservedStock]);
    }

    #[test]
    fn an_item_that_moves_is_not_compared() {
        let (earlier, later) = (holdings(90, 4, 64), holdings(89, 5, 64));
        let (findings, moving) = earlier.compare(&later, &sums(), Some(&opening()));
        assert_eq!((findings, moving), (Vec::new(), vec!["TEA".to_owned()]));
    }
}
