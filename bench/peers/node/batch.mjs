/**
 * Processes the records of a batch concurrently, and reports the failed ones.
 *
 * Powertools' batch utility for Node has no Kafka events, so the response is made here.
 */

import { kafkaConsumer } from '@aws-lambda-powertools/kafka';
import pLimit from 'p-limit';

import { publish } from './publisher.mjs';

/** As many as the SDK keeps connections. */
const limit = pLimit(50);

/** A Lambda handler that publishes what decide returns for each event of the type consumes. */
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
      const answers = decided.filter((answer) => answer !== undefined);
      try {
        if (answers.length > 0) await publish(answers);
      } catch (error) {
        console.error('events not delivered', error);
        failed.push(...answers.map(({ record }) => record));
      }
      return { batchItemFailures: failed.map((record) => ({ itemIdentifier: position(record) })) };
    },
    { value: { type: 'json' } },
  );

const position = ({ topic, partition, offset }) => ({
  partition: `${topic}-${partition}`,
  offset,
});
