//! Stock and balances, compared with the rows while both stand still.

use std::{collections::BTreeSet, time::Duration};

use jiff::SignedDuration;
use terminal::ExitError;

use crate::{
    holdings::Holdings,
    opening::Opening,
    order::Order,
    report::Report,
    scan::{Rules, Tally},
    sums::Sums,
    tables::Tables,
};

/// The most orders under way with which stock and balances can be compared.
const MAX_UNSETTLED: usize = 50_000;
/// Readings of stock and balances until what moves is left out.
const READINGS: usize = 6;
/// An audit takes less; later orders may be missed.
const MAX_TIME: SignedDuration = SignedDuration::from_hours(1);
const READING_INTERVAL: Duration = Duration::from_millis(400);

/// Stock and balances, compared with the rows.
pub(crate) struct Books<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) tables: &'a Tables,
    pub(crate) opening: Option<&'a Opening>,
    pub(crate) with_charges: bool,
    /// Needs a reading in which nothing moved.
    pub(crate) saves: bool,
}

/// The orders whose stock and money may still move, and the sums of the others.
struct UnderWay {
    open: BTreeSet<String>,
    settled: Sums,
    done: BTreeSet<String>,
}

impl Books<'_> {
    /// Compares them, and returns them with the sums of the same time, where all stood still.
    ///
    /// An item is right once it stood still and agreed in one reading, and wrong if it disagreed by
    /// the same in two.
    pub(crate) async fn check(
        &self,
        tally: &Tally,
        report: &mut Report,
    ) -> Result<Option<Opening>, ExitError> {
        let mut under_way = UnderWay {
            open: tally.unsettled.iter().cloned().collect(),
            settled: self.sums(),
            done: BTreeSet::new(),
        };
        under_way.settled.merge(&tally.sums);
        let mut wrong: Option<BTreeSet<String>> = None;
        let (mut before, mut confirmed) = (Vec::new(), Vec::new());
        for _ in 0..READINGS {
            let earlier = self.holdings().await?;
            let Some(sums) = self.sums_now(&mut under_way).await? else {
                let count = under_way.open.len();
                report.notes.push(format!(
                    "stock and balances are not compared: {count} orders are under way"
                ));
                return Ok(None);
            };
            let later = self.holdings().await?;
            let (mut findings, moving) = earlier.compare(&later, &sums, self.opening);
            let unclear = moving.into_iter().chain(findings.iter().map(|it| it.subject.clone()));
            let still_wrong =
                unclear.filter(|it| wrong.as_ref().is_none_or(|wrong| wrong.contains(it)));
            let still_wrong: BTreeSet<String> = still_wrong.collect();
            findings.retain(|finding| still_wrong.contains(&finding.subject));
            let is_still = earlier == later || !self.saves;
            if is_still && findings.len() == still_wrong.len() && findings == before {
                report.findings.extend(findings);
                return Ok(Some(Opening::of(&earlier, &sums, self.rules.started)));
            }
            confirmed = findings.iter().filter(|it| before.contains(it)).cloned().collect();
            (wrong, before) = (Some(still_wrong), findings);
            tokio::time::sleep(READING_INTERVAL).await;
        }
        let moving = wrong.unwrap_or_default().len().saturating_sub(confirmed.len());
        report.findings.extend(confirmed);
        if moving == 0 {
            return Ok(None);
        }
        report.notes.push(format!(
            "{moving} items of stock and accounts moved while they were read, and are not compared: \
             audit again when fewer orders are under way"
        ));
        Ok(None)
    }

    /// The sums of all orders; `None` if too many are under way.
    async fn sums_now(&self, under_way: &mut UnderWay) -> Result<Option<Sums>, ExitError> {
        let Self { rules, tables, .. } = *self;
        let UnderWay { open, settled, done } = under_way;
        let new = tables.accepted_since(rules.recent(), rules.started + MAX_TIME).await;
        open.extend(new.map_err(ExitError::start)?.into_iter().filter(|id| !done.contains(id)));
        if open.len() > MAX_UNSETTLED {
            return Ok(None);
        }
        let mut sums = self.sums();
        let orders = Order::read_all(tables, rules.started, open.iter().cloned()).await;
        for order in orders.map_err(ExitError::start)? {
            // It does not change between readings.
            if order.is_settled() {
                settled.add(&order);
                open.remove(&order.id);
                done.insert(order.id);
            } else {
                sums.add(&order);
            }
        }
        sums.merge(settled);
        Ok(Some(sums))
    }

    async fn holdings(&self) -> Result<Holdings, ExitError> {
        Holdings::read(self.tables, self.with_charges).await.map_err(ExitError::start)
    }

    fn sums(&self) -> Sums {
        Sums::new(self.rules.started.as_second(), self.with_charges)
    }
}
