/**
 * Processes the records of a batch concurrently, and reports the failed ones.
 *
 * Powertools' batch utility for Node does not support Kafka, so the response is built here.
 */

import { kafkaConsumer } from '@aws-lambda-powertools/kafka';
import pLimit from 'p-limit';

import { publish } from './publisher.mjs';

/** The size of the SDK's connection pool. */
const limit = pLimit(50);

/** A Lambda handler that calls decide for each event of type consumes, and publishes its result. */
export const batchHandler = (consumes, decide) =>
  kafkaConsumer(
    async ({ records }) => {
      const failed = [];
      const decided = await limit.map(records, async (record) => {
        try {
          const event = record.value;
          if (event.eventType !== consumes) throw new Error(`unexpected event ${event.eventType}`);
          return { value: await decide(event, record), record };
        } catch (error) {
          console.error('record failed', record.topic, record.partition, record.offset, error);
          failed.push(record);
          return undefined;
        }
      });
      const results = decided.filter((result) => result !== undefined);
      try {
        if (results.length > 0) await publish(results);
      } catch (error) {
        console.error('events not delivered', error);
        failed.push(...results.map(({ record }) => record));
      }
      return { batchItemFailures: failed.map((record) => ({ itemIdentifier: position(record) })) };
    },
    { value: { type: 'json' } },
  );

const position = ({ topic, partition, offset }) => ({
  partition: `${topic}-${partition}`,
  offset,
});
