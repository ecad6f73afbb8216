//! The places where the command erases nothing, and until when they have the data.

use jiff::{SignedDuration, Timestamp};

/// `retention.ms` of the topics in `template.yaml`.
const TOPICS_DAYS: i64 = 7;
/// `retention.ms` of `order.dead-letter`.
const DEAD_LETTERS_DAYS: i64 = 14;
/// The period of DynamoDB's point-in-time recovery.
const BACKUPS_DAYS: i64 = 35;

pub(crate) fn lines(now: Timestamp) -> Vec<String> {
    let until = |days: i64| {
        let end = now.checked_add(SignedDuration::from_hours(days * 24)).unwrap_or(Timestamp::MAX);
        end.strftime("%Y-%m-%d").to_string()
    };
    vec![
        String::new(),
        "What remains, and until when at the latest:".to_owned(),
        format!("  topics        {}: their retention removes the records", until(TOPICS_DAYS)),
        format!(
            "  dead letters  {}: on order.dead-letter; redrive none of these orders",
            until(DEAD_LETTERS_DAYS)
        ),
        format!("  backups       {}: point-in-time recovery of the tables", until(BACKUPS_DAYS)),
        "  archive       until you rewrite its objects, where EventArchive is enabled".to_owned(),
        "  providers     Stripe and the subscribers of the notifications have their own copies"
            .to_owned(),
        "docs/personal-data.md has the steps for each.".to_owned(),
    ]
}
