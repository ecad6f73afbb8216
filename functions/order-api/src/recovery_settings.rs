//! Settings of the recovery.

use jiff::SignedDuration;
use runtime::Environment;

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
    pub(crate) fn read(environment: &mut Environment) -> Self {
        const AGES: &str = "RECOVERY_AGES_SECONDS";
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
        let expires = environment.whole_number("ORDER_EXPIRES_AFTER_SECONDS", "0", 0..=2_592_000);
        let seconds = |seconds: u32| SignedDuration::from_secs(seconds.into());
        Self {
            ages: ages.into_iter().map(seconds).collect(),
            window: seconds(window),
            expires_after: (expires > 0).then(|| seconds(expires)),
        }
    }

    /// The ages at which an order is checked, including that of its expiry.
    pub(crate) fn all_ages(&self) -> Vec<SignedDuration> {
        let mut ages = self.ages.clone();
        ages.extend(self.expires_after);
        ages.sort_unstable();
        ages.dedup();
        ages
    }

    /// No later check of the order follows.
    pub(crate) fn is_last(&self, age: SignedDuration) -> bool {
        self.ages.iter().all(|it| *it <= age) || age.is_zero()
    }

    pub(crate) fn expires(&self, age: SignedDuration) -> bool {
        self.expires_after.is_some_and(|after| age >= after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ages: &str, expires: &str) -> Result<RecoverySettings, String> {
        let variables = [
            ("RECOVERY_AGES_SECONDS", ages),
            ("RECOVERY_WINDOW_SECONDS", "360"),
            ("ORDER_EXPIRES_AFTER_SECONDS", expires),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut environment = Environment::new(variables);
        let settings = RecoverySettings::read(&mut environment);
        environment.finish(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn an_order_is_also_checked_when_it_expires() {
        let seconds = SignedDuration::from_secs;
        let settings = read("300, 1800", "600").unwrap();
        assert_eq!(settings.all_ages(), [300, 600, 1800].map(seconds));
        assert_eq!([300, 600].map(|age| settings.expires(seconds(age))), [false, true]);
        let settings = read("300,1800", "0").unwrap();
        assert_eq!(settings.all_ages(), [300, 1800].map(seconds));
        assert!(!settings.expires(seconds(1800)));
    }

    #[test]
    fn ages_are_whole_numbers() {
        for ages in ["soon", "300,", "-1", ""] {
            let error = read(ages, "0").unwrap_err();
            assert!(error.contains("for example RECOVERY_AGES_SECONDS="), "{ages}: {error}");
        }
    }
}
