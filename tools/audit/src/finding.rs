//! The kinds of damage, and what to do about each.

use std::collections::BTreeMap;

use strum::{IntoStaticStr, VariantArray};

/// A kind of damage. `docs/audit.md` has the same list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case", const_into_str)]
pub(crate) enum Kind {
    MalformedRow,
    OrphanRow,
    MissingRow,
    ChangedRow,
    TwoEnds,
    WrongEnd,
    MissingEnd,
    MissingRelease,
    EventNotPublished,
    EventWithoutRow,
    EventDiffers,
    UnreportedRecord,
    ReservedStock,
    TotalStock,
    StockItem,
    Balance,
    AccountItem,
    PaymentWithoutRow,
    PaymentNotRefunded,
    PaymentTwice,
    PaymentAmount,
    RowWithoutPayment,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        self.into_str()
    }

    /// True where a row itself is damaged, so that what follows from it is not reported as well.
    pub(crate) const fn is_of_rows(self) -> bool {
        matches!(
            self,
            Self::MalformedRow
                | Self::OrphanRow
                | Self::MissingRow
                | Self::ChangedRow
                | Self::TwoEnds
        )
    }

    /// True for a sum over the rows of many orders, which a damaged row changes.
    pub(crate) const fn is_of_sums(self) -> bool {
        matches!(self, Self::ReservedStock | Self::TotalStock | Self::Balance)
    }

    pub(crate) const fn action(self) -> &'static str {
        match self {
            Self::MalformedRow | Self::MissingRow | Self::ChangedRow => {
                "restore the row from a point-in-time copy of the orders table, or from the event \
                 on its topic"
            }
            Self::OrphanRow => {
                "find who wrote it: only order-api may write to order.created; else restore the \
                 intake row"
            }
            Self::TwoEnds => "decide which end holds, and restore the rows of the other stages",
            Self::WrongEnd => {
                "delete the close row, then run a recovery by hand: it closes the order again"
            }
            Self::MissingEnd => {
                "see that the recovery and the mappings run and that no dead letter is pending, \
                 then run a recovery by hand"
            }
            Self::MissingRelease => {
                "redrive its dead letter; without one run a recovery by hand, which publishes the \
                 reservation again, and payment and release follow"
            }
            Self::EventNotPublished => {
                "run a recovery by hand for an open order; tell the consumers of the topic about a \
                 closed one"
            }
            Self::EventWithoutRow | Self::EventDiffers => {
                "find who wrote it: only the functions may write to the topics; consumers must \
                 drop it"
            }
            Self::UnreportedRecord => "see the dead letters: `redrive list`",
            Self::ReservedStock => {
                "add the difference to `reserved`, and take it from `available`, once you know \
                 its cause"
            }
            Self::TotalStock => {
                "if it is a delivery or a correction, save a new opening; else correct `available`"
            }
            Self::StockItem | Self::AccountItem => {
                "correct the item: its numbers must be there, and not below zero"
            }
            Self::Balance => {
                "if the customer was erased, or it is a top-up or a correction, save a new opening; else \
                 correct `balance`"
            }
            Self::PaymentWithoutRow | Self::PaymentNotRefunded | Self::PaymentTwice => {
                "refund the payment in Stripe's dashboard"
            }
            Self::PaymentAmount => "refund or charge the difference in Stripe's dashboard",
            Self::RowWithoutPayment => {
                "see that the API key is of the right account and mode; else charge the customer"
            }
        }
    }
}

/// One piece of damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    /// The order's id; for other kinds the SKU, the customer, or the position of a record.
    pub(crate) subject: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl Finding {
    pub(crate) fn new(
        kind: Kind,
        subject: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        let subject = subject.to_owned();
        Self { kind, subject, expected: expected.into(), found: found.into() }
    }
}

/// One finding for each kind and subject, with the texts of all, in a fixed order. What follows
/// from a damaged row of the same order is left out.
pub(crate) fn merged(findings: Vec<Finding>) -> Vec<Finding> {
    let mut by_subject: BTreeMap<String, BTreeMap<Kind, Finding>> = BTreeMap::new();
    for finding in findings {
        let of_subject = by_subject.entry(finding.subject.clone()).or_default();
        match of_subject.get_mut(&finding.kind) {
            None => drop(of_subject.insert(finding.kind, finding)),
            Some(first) => {
                append(&mut first.expected, &finding.expected);
                append(&mut first.found, &finding.found);
            }
        }
    }
    let mut merged: Vec<Finding> = Vec::new();
    for mut of_subject in by_subject.into_values() {
        if of_subject.keys().any(|kind| kind.is_of_rows()) {
            of_subject.retain(|kind, _| kind.is_of_rows());
        }
        if of_subject.contains_key(&Kind::UnreportedRecord) {
            of_subject.remove(&Kind::EventWithoutRow);
        }
        if of_subject.contains_key(&Kind::EventDiffers) {
            of_subject.remove(&Kind::EventNotPublished);
        }
        merged.extend(of_subject.into_values());
    }
    merged.sort_by(|one, other| (one.kind, &one.subject).cmp(&(other.kind, &other.subject)));
    merged
}

fn append(text: &mut String, more: &str) {
    if !text.split("; ").any(|part| part == more) {
        text.push_str("; ");
        text.push_str(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_a_damaged_row_is_not_reported() {
        let finding = |kind, subject| Finding::new(kind, subject, "a", "b");
        let merged = merged(vec![
            finding(Kind::EventWithoutRow, "ord-1"),
            finding(Kind::MissingRow, "ord-1"),
            finding(Kind::EventWithoutRow, "ord-2"),
            finding(Kind::EventWithoutRow, "ord-2"),
        ]);
        let kinds: Vec<_> = merged.iter().map(|it| (it.kind, it.subject.as_str())).collect();
        assert_eq!(kinds, [(Kind::MissingRow, "ord-1"), (Kind::EventWithoutRow, "ord-2")]);
    }

    #[test]
    fn every_kind_has_a_name_and_an_action() {
        for kind in Kind::VARIANTS {
            assert!(!kind.name().is_empty() && !kind.action().is_empty());
        }
        assert_eq!(Kind::MissingRow.name(), "missing-row");
    }
}
