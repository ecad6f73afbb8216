/** Publishes the events of a batch in one go, and waits until every in-sync replica has them. */

import { Kafka, logLevel } from 'kafkajs';

import { TOPICS, cloudEventHeaders } from './envelope.mjs';

const kafka = new Kafka({
  brokers: process.env.KAFKA_BOOTSTRAP_SERVERS.split(','),
  logLevel: logLevel.ERROR,
  requestTimeout: 5_000,
});

const producer = kafka.producer({
  idempotent: true,
  // KafkaJS keeps the order of an idempotent producer's records only with this.
  maxInFlightRequests: 1,
  // By default it retries longer than a function lives.
  retry: { retries: 5 },
});

await producer.connect();

/** Publishes the values; each answers the record beside it. */
export async function publish(answers) {
  const messagesByTopic = new Map();
  for (const { value, record } of answers) {
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
