//! Publishes a record and its receipt.

use std::time::Duration;

use kafka::{Brokers, OutgoingRecord, ProduceError, Producer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use terminal::error_chain;

use crate::dead_letter::DeadLetter;
use crate::outcome::Outcome;
use crate::position::Position;
use crate::receipt::Receipt;
use crate::record::Record;

pub(crate) struct Writer {
    producer: Producer,
    /// The last record that was published, and its copy.
    previous: Option<(Position, Position)>,
    timed_out: bool,
}

impl Writer {
    /// `delivery_timeout` is for the brokers to confirm one record.
    ///
    /// # Errors
    /// If the client cannot be set up.
    pub(crate) fn new(brokers: &Brokers, delivery_timeout: Duration) -> Result<Self, KafkaError> {
        let producer = Producer::new(brokers, delivery_timeout)?;
        Ok(Self { producer, previous: None, timed_out: false })
    }

    /// Publishes the record, unless it was the previous one too, and the receipt.
    pub(crate) async fn redrive(&mut self, dead_letter: &DeadLetter, record: &Record) -> Outcome {
        let position = match self.copy(record).await {
            Ok(position) => position,
            Err(reason) => return Outcome::NotRedriven(reason),
        };
        match self.write_receipt(dead_letter, &position).await {
            Ok(()) => Outcome::Redriven(position),
            Err(reason) => Outcome::RedrivenWithoutReceipt(position, reason),
        }
    }

    /// Returns the position of the record's copy.
    async fn copy(&mut self, record: &Record) -> Result<Position, String> {
        match &self.previous {
            Some((previous, copy)) if *previous == record.position => return Ok(copy.clone()),
            // Each further record would wait for its own timeout.
            _ if self.timed_out => {
                return Err("the brokers did not respond to the previous record".to_owned());
            }
            _ => {}
        }
        let copy = self.publish(record).await.map_err(|error| {
            self.timed_out = error.code() == Some(RDKafkaErrorCode::MessageTimedOut);
            error_chain(&error)
        })?;
        self.previous = Some((record.position.clone(), copy.clone()));
        Ok(copy)
    }

    /// Publishes the record unchanged; returns its new position.
    ///
    /// Its timestamp is the current time: with the original one, a mapping would give it up again
    /// for its age.
    async fn publish(&self, record: &Record) -> Result<Position, ProduceError> {
        let headers = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        let headers: Vec<(&str, Option<&[u8]>)> = headers.collect();
        self.send(OutgoingRecord {
            topic: &record.position.topic,
            partition: record.key.is_none().then_some(record.position.partition),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        })
        .await
    }

    /// Writes the receipt on the partition of the dead letter.
    async fn write_receipt(
        &self,
        dead_letter: &DeadLetter,
        redriven_as: &Position,
    ) -> Result<(), String> {
        let receipt = Receipt::new(dead_letter.position(), &dead_letter.message, redriven_as);
        let value = receipt.write().map_err(|error| error.to_string())?;
        let outgoing = OutgoingRecord {
            topic: &dead_letter.message.topic,
            partition: Some(dead_letter.message.partition),
            key: dead_letter.message_key.as_deref(),
            value: Some(&value),
            headers: &[],
        };
        self.send(outgoing).await.map(drop).map_err(|error| error_chain(&error))
    }

    async fn send(&self, record: OutgoingRecord<'_>) -> Result<Position, ProduceError> {
        let (partition, offset) = self.producer.send(record)?.position().await?;
        Ok(Position::new(record.topic, partition, offset))
    }
}
