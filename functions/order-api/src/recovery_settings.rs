//! Settings of the recovery.

use jiff::SignedDuration;
use runtime::Environment;

/// The times after an expiry at which it is repeated, because its run may have failed. At the last
/// one its first records have become dead letters.
const EXPIRY_REPEATS: [SignedDuration; 3] =
    [SignedDuration::from_hours(1), SignedDuration::from_hours(6), SignedDuration::from_hours(24)];

/// The days for which an order has its rows after its expiry: one for the repeats, seven for which
/// the topics keep what these publish, and one more.
const DAYS_AFTER_EXPIRY: i64 = 9;

/// The recovery of orders that have not ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoverySettings {
    /// The ages at which an order is checked.
    pub ages: Vec<SignedDuration>,
    /// The range of ages of one run: longer than the schedule's period, so that runs overlap.
    pub window: SignedDuration,
    /// The age from which an unpaid order expires; `None` for never.
    pub expires_after: Option<SignedDuration>,
}

impl RecoverySettings {
    pub(crate) fn read(environment: &mut Environment, row_ttl: SignedDuration) -> Self {
        const AGES: &str = "RECOVERY_AGES_SECONDS";
        const EXPIRES: &str = "ORDER_EXPIRES_AFTER_SECONDS";
        let text = environment.required(AGES, "300,1800,7200");
        let seconds: Result<Vec<u32>, _> =
            text.split(',').map(|seconds| seconds.trim().parse()).collect();
        let ages = seconds.unwrap_or_default();
        if ages.is_empty() && !text.is_empty() {
            environment.reject(format!(
                "{AGES} is {text:?}, but must be whole numbers separated by commas; \
                 for example {AGES}=300,1800,7200"
            ));
        }
        let window = environment.whole_number("RECOVERY_WINDOW_SECONDS", "360", 1..=86_400);
        let expires = environment.whole_number(EXPIRES, "0", 0..=u32::MAX);
        let seconds = |seconds: u32| SignedDuration::from_secs(seconds.into());
        let latest = row_ttl - SignedDuration::from_hours(24 * DAYS_AFTER_EXPIRY);
        let latest = latest.max(SignedDuration::ZERO);
        if seconds(expires) > latest {
            environment.reject(format!(
                "{EXPIRES} is {expires}, but must be at most {}: an order must expire \
                 {DAYS_AFTER_EXPIRY} days before its rows do (ROW_TTL_DAYS)",
                latest.as_secs()
            ));
        }
        Self {
            ages: ages.into_iter().map(seconds).collect(),
            window: seconds(window),
            expires_after: (expires > 0).then(|| seconds(expires)),
        }
    }

    /// The ages at which an order is checked, including that of its expiry and those that repeat it
    /// after the window of the last configured one.
    pub(crate) fn all_ages(&self) -> Vec<SignedDuration> {
        let mut ages = self.ages.clone();
        let covered = ages.iter().max().map(|last| *last + self.window);
        if let Some(expiry) = self.expires_after {
            let repeats = EXPIRY_REPEATS.map(|later| expiry + later);
            ages.push(expiry);
            ages.extend(repeats.into_iter().filter(|age| Some(*age) >= covered));
        }
        ages.sort_unstable();
        ages.dedup();
        ages
    }

    /// The last check of cancelled orders, which do not wait for an expiry, or of expired ones; a
    /// check by hand may be the last, too.
    pub(crate) fn is_last(&self, age: SignedDuration) -> bool {
        age.is_zero()
            || self.ages.iter().max() == Some(&age)
            || self.all_ages().last() == Some(&age)
    }

    pub(crate) fn expires(&self, age: SignedDuration) -> bool {
        self.expires_after.is_some_and(|after| age >= after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYED: &str = "300,1800,7200,43200,86400,172800";

    fn read(ages: &str, expires: &str) -> Result<RecoverySettings, String> {
        let variables = [
            ("RECOVERY_AGES_SECONDS", ages),
            ("RECOVERY_WINDOW_SECONDS", "360"),
            ("ORDER_EXPIRES_AFTER_SECONDS", expires),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut environment = Environment::new(variables);
        let settings =
            RecoverySettings::read(&mut environment, SignedDuration::from_hours(30 * 24));
        environment.finish(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn an_order_is_also_checked_when_it_expires() {
        let seconds = SignedDuration::from_secs;
        let settings = read("300, 172800", "600").unwrap();
        assert_eq!(settings.all_ages(), [300, 600, 172_800].map(seconds));
        assert_eq!([300, 600].map(|age| settings.expires(seconds(age))), [false, true]);
        let settings = read("300,1800", "0").unwrap();
        assert_eq!(settings.all_ages(), [300, 1800].map(seconds));
        assert!(!settings.expires(seconds(1800)));
    }

    #[test]
    fn an_expiry_is_repeated_for_a_day_where_no_configured_age_follows() {
        for (expires, added) in [
            ("1000", vec![1_000]),
            ("86400", vec![]),
            ("100000", vec![100_000, 186_400]),
            ("172800", vec![176_400, 194_400, 259_200]),
            ("1814400", vec![1_814_400, 1_818_000, 1_836_000, 1_900_800]),
        ] {
            let settings = read(DEPLOYED, expires).unwrap();
            let mut ages = settings.all_ages();
            assert!(ages.windows(2).all(|pair| pair[0] + settings.window <= pair[1]), "{ages:?}");
            ages.retain(|age| !settings.ages.contains(age));
            let added: Vec<_> = added.into_iter().map(SignedDuration::from_secs).collect();
            assert_eq!(ages, added, "{expires}");
        }
    }

    #[test]
    fn a_refund_is_repeated_at_the_last_age_and_at_the_last_one_after_an_expiry() {
        for (expires, last) in [
            ("0", vec![172_800]),
            ("600", vec![172_800]),
            ("172800", vec![172_800, 259_200]),
            ("1814400", vec![172_800, 1_900_800]),
        ] {
            let settings = read(DEPLOYED, expires).unwrap();
            let mut ages = settings.all_ages();
            ages.retain(|age| settings.is_last(*age));
            let last: Vec<_> = last.into_iter().map(SignedDuration::from_secs).collect();
            assert_eq!(ages, last, "{expires}");
            assert!(settings.is_last(SignedDuration::ZERO));
        }
    }

    #[test]
    fn an_order_expires_long_before_its_rows() {
        assert!(read(DEPLOYED, "1814400").is_ok());
        let error = read(DEPLOYED, "1814401").unwrap_err();
        let expected = "ORDER_EXPIRES_AFTER_SECONDS is 1814401, but must be at most 1814400: \
                        an order must expire 9 days before its rows do (ROW_TTL_DAYS)";
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn ages_are_whole_numbers() {
        for ages in ["soon", "300,", "-1", ""] {
            let error = read(ages, "0").unwrap_err();
            assert!(error.contains("for example RECOVERY_AGES_SECONDS="), "{ages}: {error}");
        }
    }
}
