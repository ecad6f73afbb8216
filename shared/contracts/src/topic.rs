//! The topics of the workflow.

use std::{borrow::Cow, sync::Arc};

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::{EventType, STAGES};

/// The topics of the order workflow.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(const_into_str)]
pub enum Topic {
    /// Carries `OrderCreated`.
    #[strum(serialize = "order.created")]
    OrderCreated,
    /// Carries `OrderValidated`.
    #[strum(serialize = "order.validated")]
    OrderValidated,
    /// Carries `InventoryReserved`.
    #[strum(serialize = "order.inventory-reserved")]
    InventoryReserved,
    /// Carries `PaymentCompleted`.
    #[strum(serialize = "order.payment-completed")]
    PaymentCompleted,
    /// Carries `OrderCompleted`.
    #[strum(serialize = "order.completed")]
    OrderCompleted,
    /// Carries every failure.
    #[strum(serialize = "order.failed")]
    OrderFailed,
}

impl Topic {
    /// Every topic, in the order of the workflow.
    pub const ALL: &'static [Self] = <Self as VariantArray>::VARIANTS;

    /// The name on the broker.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.into_str()
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        name.parse().ok()
    }

    /// The failure event that reports a malformed record of this topic.
    ///
    /// It is the failure of the stage that the topic triggers, else of the stage that publishes to
    /// it. `None` for `order.failed`: a report there would trigger another.
    #[must_use]
    pub fn malformed_failure(self) -> Option<EventType> {
        if self == Self::OrderFailed {
            return None;
        }
        let consumer = STAGES.iter().filter(|spec| spec.consumes_from(self));
        let publisher =
            STAGES.iter().filter(|spec| spec.published_events().any(|it| it.topic() == self));
        consumer.chain(publisher).find_map(|spec| spec.publishes?.rejected)
    }
}

/// The names of the topics on a cluster: those of the contract, with a prefix where the cluster has
/// the topics of several stacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicNames {
    prefix: Arc<str>,
}

impl TopicNames {
    #[must_use]
    pub fn with_prefix(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    #[must_use]
    pub fn name(&self, topic: Topic) -> Cow<'static, str> {
        match self.prefix() {
            "" => Cow::Borrowed(topic.name()),
            prefix => Cow::Owned(format!("{prefix}{topic}")),
        }
    }

    /// The topic of the records that were given up: the on-failure destination of every mapping in
    /// `template.yaml`. It is not a [`Topic`]: no stage consumes it.
    #[must_use]
    pub fn dead_letters(&self) -> String {
        format!("{}order.dead-letter", self.prefix())
    }

    /// The topic with this name; `None` for a topic of another stack.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Topic> {
        Topic::from_name(name.strip_prefix(self.prefix())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_found_by_its_name() {
        for topic in Topic::ALL {
            assert_eq!(Topic::from_name(topic.name()), Some(*topic));
        }
        assert_eq!(Topic::from_name("order.dead-letter"), None);
    }

    #[test]
    fn a_malformed_record_is_reported_by_the_stage_that_its_topic_triggers() {
        for spec in crate::happy_path() {
            let Some(consumed) = spec.consumed_events().next() else { continue };
            let failure = spec.publishes.and_then(|it| it.rejected);
            assert_eq!(consumed.topic().malformed_failure(), failure, "{}", spec.name);
        }
        let created = Topic::OrderCreated.malformed_failure();
        assert_eq!(created, Some(EventType::OrderValidationFailed));
        // No stage that publishes consumes from these.
        let completed = Topic::OrderCompleted.malformed_failure();
        assert_eq!(completed, Some(EventType::OrderNotificationFailed));
        assert_eq!(Topic::OrderFailed.malformed_failure(), None);
    }
}
