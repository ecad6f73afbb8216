//! Draws the target and the parameters of a fault.

use std::time::Duration;

use contracts::{EventType, Topic};
use emulator::template::Template;
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::database_fault::Share;
use super::fault::{BrokerRequest, Fault, Kind};

/// Events that their stages compare with the stored one. One that is forged in place of the others
/// would be an order of another producer.
const FORGEABLE: [EventType; 7] = [
    EventType::InventoryReserved,
    EventType::PaymentCompleted,
    EventType::OrderCompleted,
    EventType::OrderValidationFailed,
    EventType::OrderInventoryFailed,
    EventType::OrderPaymentFailed,
    EventType::OrderNotificationFailed,
];

/// The functions and mappings of a template.
#[derive(Debug)]
pub(crate) struct Targets {
    functions: Vec<String>,
    mappings: Vec<String>,
}

impl Targets {
    pub(crate) fn of(template: &Template) -> Self {
        let functions = template.functions.iter().map(|function| function.name.binary.clone());
        let mappings = template.mappings.iter().map(|mapping| mapping.logical_id.clone());
        Self { functions: functions.collect(), mappings: mappings.collect() }
    }

    /// A fault of this kind; `None` for a kind that belongs to orders.
    pub(crate) fn draw(&self, kind: Kind, rng: &mut ChaCha8Rng) -> Option<Fault> {
        Some(match kind {
            Kind::Kill => {
                let function = self.functions.choose(rng)?.clone();
                Fault::Kill { function, is_all: rng.random_range(0..3_u32) == 0 }
            }
            Kind::Freeze => Fault::Freeze {
                function: self.functions.choose(rng)?.clone(),
                lasts: milliseconds(rng, 200, 8_000),
            },
            Kind::BrokerAway => Fault::BrokerAway { lasts: milliseconds(rng, 100, 2_500) },
            Kind::BrokerSlow => Fault::BrokerSlow {
                round_trip: milliseconds(rng, 10, 250),
                lasts: milliseconds(rng, 500, 3_000),
            },
            Kind::BrokerErrors => Fault::BrokerErrors {
                request: *[
                    BrokerRequest::Produce,
                    BrokerRequest::Fetch,
                    BrokerRequest::OffsetCommit,
                    BrokerRequest::Metadata,
                ]
                .choose(rng)?,
                count: rng.random_range(1..=4),
            },
            Kind::Database(kind) => {
                let fault = *kind.variants().choose(rng)?;
                let per_thousand = rng.random_range(50..=500);
                let share = Share { fault, per_thousand, seed: rng.random() };
                Fault::Database { kind, share, lasts: milliseconds(rng, 500, 4_000) }
            }
            Kind::Pause => Fault::Pause {
                mapping: self.mappings.choose(rng)?.clone(),
                lasts: milliseconds(rng, 200, 6_000),
            },
            Kind::Redelivery => Fault::Redelivery {
                count: rng.random_range(1..=30),
                is_late: rng.random_range(0..2_u32) == 0,
                draw: rng.random(),
            },
            Kind::Malformed => Fault::Malformed { topic: any_topic(rng), draw: rng.random() },
            Kind::Forged => Fault::Forged {
                event_type: *FORGEABLE.choose(rng)?,
                is_known: rng.random_range(0..4_u32) > 0,
                draw: rng.random(),
            },
            Kind::ConflictingDuplicate => {
                Fault::ConflictingDuplicate { topic: any_topic(rng), draw: rng.random() }
            }
            Kind::ItemLimit
            | Kind::Cancellation
            | Kind::RepeatedRequest
            | Kind::RepeatedRecord
            | Kind::ClientGone => return None,
        })
    }
}

fn milliseconds(rng: &mut ChaCha8Rng, least: u64, most: u64) -> Duration {
    Duration::from_millis(rng.random_range(least..=most))
}

/// A topic that the workflow reads.
fn any_topic(rng: &mut ChaCha8Rng) -> Topic {
    Topic::ALL.choose(rng).copied().unwrap_or(Topic::OrderCreated)
}
