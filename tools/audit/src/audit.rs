//! The order of the reads: topics, rows, then, consistently, the orders that looked wrong; last,
//! stock and balances.

use std::{cmp::Reverse, collections::BTreeSet, time::Instant};

use jiff::Timestamp;
use terminal::ExitError;

use crate::{
    books::Books,
    opening::Opening,
    options::AuditOptions,
    order::Order,
    payments::Payments,
    records,
    report::Report,
    scan::{Rules, Tally},
    servers::Servers,
    stripe::Api,
    tables::Tables,
    topics::TopicEvents,
};

/// The most orders that are read again, so that a broken table ends with a report.
const MAX_SUSPECTS: usize = 20_000;

/// Audits the system. Errors are those of servers that do not respond.
pub(crate) async fn run(
    options: &AuditOptions,
    servers: &Servers,
    api: Option<Api>,
    started: Timestamp,
) -> Result<Report, ExitError> {
    let clock = Instant::now();
    let opening = options.opening.as_deref().map(|path| Opening::read(path, started));
    let opening = opening.transpose().map_err(ExitError::start)?;
    let tables = &servers.tables;
    tables.check().await.map_err(ExitError::start)?;
    let since = started - options.retention;
    let since = servers.events_since.map_or(since, |given| given.max(since));
    let payments = match api.zip(options.stripe) {
        Some((api, span)) => {
            Some(Payments::list(&api, started - span, started).await.map_err(ExitError::start)?)
        }
        None => None,
    };
    let events = match &servers.cluster {
        Some(cluster) => Some(TopicEvents::read(cluster, since).await.map_err(ExitError::start)?),
        None => None,
    };
    let mut rules = Rules { started, open_for: options.open_for, events, payments };
    let with_charges = opening.is_some() || options.save.is_some();
    let tally = rules.scan(tables, with_charges).await.map_err(ExitError::start)?;
    let mut report = Report {
        opening: opening.as_ref().map(|opening| opening.saved_at.clone()),
        orders: tally.orders,
        payments: rules.payments.as_ref().map(Payments::count),
        ..Report::default()
    };
    look_again(&mut rules, tables, &tally, &mut report).await?;
    report.records = rules.events.as_ref().map(|events| events.records);
    if let Some(events) = &rules.events {
        let unmatched = events.unmatched().await.map_err(ExitError::start)?;
        for record in unmatched {
            report.findings.extend(records::check(&rules, tables, &record).await?);
        }
    }
    let books = Books {
        rules: &rules,
        tables,
        opening: opening.as_ref(),
        with_charges,
        saves: options.save.is_some(),
    };
    let closing = books.check(&tally, &mut report).await?;
    report.merge_findings();
    if let Some(path) = &options.save {
        match closing.filter(|_| report.findings.is_empty()) {
            Some(closing) => closing.write(path).map_err(ExitError::start)?,
            None => report.notes.push(format!(
                "{} is not written: the books do not balance, or stock was moving (audit again)",
                path.display()
            )),
        }
    }
    (report.items, report.units) = (tables.items_read(), tables.units_read());
    report.seconds = clock.elapsed().as_secs();
    Ok(report)
}

/// Reads the orders again that looked wrong, consistently, and then the new records: an event that a
/// stage acted on is among them.
async fn look_again(
    rules: &mut Rules,
    tables: &Tables,
    tally: &Tally,
    report: &mut Report,
) -> Result<(), ExitError> {
    let unpaid = rules.payments.iter().flat_map(Payments::unchecked).cloned();
    let suspects: BTreeSet<String> = tally.suspects.iter().cloned().chain(unpaid).collect();
    if let Some(more @ 1..) = suspects.len().checked_sub(MAX_SUSPECTS) {
        report.notes.push(format!("{more} more orders look wrong or are open: mend these first"));
    }
    let suspects = suspects.into_iter().take(MAX_SUSPECTS);
    let suspects =
        Order::read_all(tables, rules.started, suspects).await.map_err(ExitError::start)?;
    if let Some(events) = rules.events.take_if(|_| !suspects.is_empty()) {
        rules.events = Some(events.read_on().await.map_err(ExitError::start)?);
    }
    for order in suspects {
        let checked = rules.check(&order);
        report.open.extend(checked.open);
        report.findings.extend(checked.findings);
        report.findings.extend(rules.lost(&order));
    }
    report.open.sort_by_key(|open| Reverse(open.age));
    Ok(())
}
