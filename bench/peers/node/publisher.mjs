/** Publishes the events of a batch in one request, and waits for all in-sync replicas. */

import { Kafka, logLevel } from 'kafkajs';

import { TOPICS, cloudEventHeaders } from './envelope.mjs';

const kafka = new Kafka({
  brokers: process.env.KAFKA_BOOTSTRAP_SERVERS.split(','),
  logLevel: logLevel.ERROR,
  requestTimeout: 5_000,
});

const producer = kafka.producer({
  idempotent: true,
  // Required by KafkaJS to preserve the order of an idempotent producer's records.
  maxInFlightRequests: 1,
  // The default retries exceed the function's timeout.
  retry: { retries: 5 },
});

await producer.connect();

/** Publishes the values; each belongs to the input record beside it. */
export async function publish(results) {
  const messagesByTopic = new Map();
  for (const { value, record } of results) {
    const event = JSON.parse(value);
    const topic = TOPICS[event.eventType];
    const headers = cloudEventHeaders(event);
    const traced = record.originalHeaders?.find((header) => header.traceparent !== undefined);
    if (traced) headers.traceparent = Buffer.from(traced.traceparent);
    if (!messagesByTopic.has(topic)) messagesByTopic.set(topic, []);
    messagesByTopic.get(topic).push({ key: event.orderId, value, headers });
  }
  const topicMessages = [...messagesByTopic].map(([topic, messages]) => ({ topic, messages }));
  await producer.sendBatch({ acks: -1, topicMessages });
}
