/**
 * Validator stage: consumes OrderCreated, publishes OrderValidated or OrderValidationFailed.
 *
 * The event is stored as the result in Powertools' idempotency record of the order, so that a
 * redelivery publishes the same bytes.
 */

import { IdempotencyConfig, makeIdempotent } from '@aws-lambda-powertools/idempotency';
import { DynamoDBPersistenceLayer } from '@aws-lambda-powertools/idempotency/dynamodb';

import { batchHandler } from './batch.mjs';
import { failureEvent, nextEvent } from './envelope.mjs';
import { customerIdErrors, itemErrors, quantityBySku, totalAmountErrors } from './order.mjs';

/** A DynamoDB transaction takes 100 actions, and the inventory's row is one of them. */
const MAX_SKUS = 98;
const CURRENCY_DECIMALS = Number(process.env.CURRENCY_DECIMALS ?? 2);

const persistenceStore = new DynamoDBPersistenceLayer({
  tableName: process.env.ORDERS_TABLE,
  keyAttr: 'orderId',
  sortKeyAttr: 'stage',
  staticPkValue: 'idempotency#validator',
  expiryAttr: 'expiresAt',
});
const config = new IdempotencyConfig({
  expiresAfterSeconds: Number(process.env.ROW_TTL_DAYS ?? 30) * 86_400,
});

const validate = makeIdempotent(
  async (event, _orderId, record) => {
    const { payload } = event;
    const items = itemErrors(payload);
    if (items.length === 0 && quantityBySku(payload).size > MAX_SKUS) {
      items.push(`items must name at most ${MAX_SKUS} different SKUs`);
    }
    const errors = [
      ...customerIdErrors(payload),
      ...items,
      ...totalAmountErrors(payload, CURRENCY_DECIMALS),
    ];
    if (errors.length === 0) return nextEvent(event, 'OrderValidated', payload);
    const reason = `VALIDATION_FAILED: ${errors.join('; ')}`;
    return failureEvent(event, 'OrderValidationFailed', reason, record);
  },
  { persistenceStore, config, keyPrefix: 'validator', dataIndexArgument: 1 },
);

const handleBatch = batchHandler('OrderCreated', (event, record) =>
  validate(event, event.orderId, record),
);

export const handler = (event, context) => {
  config.registerLambdaContext(context);
  return handleBatch(event, context);
};
