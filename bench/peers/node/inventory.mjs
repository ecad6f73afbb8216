/**
 * Inventory stage: consumes OrderValidated, publishes InventoryReserved or OrderInventoryFailed.
 *
 * The order's row and its stock commit in one transaction, conditional on the absence of the row.
 * That makes it idempotent: a separate idempotency record could not commit with it.
 */

import { setTimeout as sleep } from 'node:timers/promises';

import {
  ConditionalCheckFailedException,
  DynamoDBClient,
  PutItemCommand,
  TransactionCanceledException,
  TransactWriteItemsCommand,
} from '@aws-sdk/client-dynamodb';

import { batchHandler } from './batch.mjs';
import { failureEvent, nextEvent } from './envelope.mjs';
import { itemErrors, quantityBySku } from './order.mjs';

const { ORDERS_TABLE, STOCK_TABLE } = process.env;
const ROW_TTL_SECONDS = Number(process.env.ROW_TTL_DAYS ?? 30) * 86_400;
const MAX_ATTEMPTS = 6;

const dynamodb = new DynamoDBClient();

/** Returns the stored event of the order. */
async function reserve(event, record) {
  const { orderId, payload } = event;
  const errors = itemErrors(payload);
  if (errors.length > 0) return reject(event, `VALIDATION_FAILED: ${errors.join('; ')}`, record);
  const reserved = { ...payload, reservationId: `res-${orderId}` };
  const value = nextEvent(event, 'InventoryReserved', reserved);
  const quantities = [...quantityBySku(payload)];
  const transaction = new TransactWriteItemsCommand({
    TransactItems: [
      { Put: insert(orderId, value) },
      ...quantities.map(([sku, quantity]) => ({ Update: reservation(sku, quantity) })),
    ],
  });
  for (let attempt = 1; ; attempt++) {
    try {
      await dynamodb.send(transaction);
      return value;
    } catch (error) {
      if (!(error instanceof TransactionCanceledException)) throw error;
      const [row, ...stock] = error.CancellationReasons;
      if (row.Code === 'ConditionalCheckFailed') return row.Item.event.S;
      const codes = [row, ...stock].map((reason) => reason.Code);
      if (codes.every((code) => code === 'None' || code === 'ConditionalCheckFailed')) {
        return reject(event, shortageReason(quantities, stock), record);
      }
      if (!codes.includes('TransactionConflict') || attempt === MAX_ATTEMPTS) throw error;
      // The SDK does not retry a transaction that conflicts with another.
      await sleep(Math.random() * 10 * 2 ** attempt);
    }
  }
}

async function reject(event, reason, record) {
  const value = failureEvent(event, 'OrderInventoryFailed', reason, record);
  try {
    await dynamodb.send(new PutItemCommand(insert(event.orderId, value)));
    return value;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return error.Item.event.S;
    throw error;
  }
}

const insert = (orderId, value) => ({
  TableName: ORDERS_TABLE,
  Item: {
    orderId: { S: orderId },
    stage: { S: 'inventory' },
    event: { S: value },
    expiresAt: { N: String(Math.floor(Date.now() / 1000) + ROW_TTL_SECONDS) },
  },
  ConditionExpression: 'attribute_not_exists(orderId)',
  ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
});

const reservation = (sku, quantity) => ({
  TableName: STOCK_TABLE,
  Key: { sku: { S: sku } },
  UpdateExpression: 'SET available = available - :quantity, reserved = reserved + :quantity',
  ConditionExpression: 'available >= :quantity',
  ExpressionAttributeValues: { ':quantity': { N: String(quantity) } },
  ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
});

function shortageReason(quantities, reasons) {
  const shortages = quantities.flatMap(([sku, quantity], index) => {
    const { Code, Item } = reasons[index];
    if (Code !== 'ConditionalCheckFailed') return [];
    if (!Item) return [{ code: 'UNKNOWN_SKU', text: `${sku} is not sold here` }];
    const text = `${sku} wanted ${quantity}, available ${Item.available.N}`;
    return [{ code: 'OUT_OF_STOCK', text }];
  });
  return `${shortages[0].code}: ${shortages.map(({ text }) => text).join('; ')}`;
}

export const handler = batchHandler('OrderValidated', reserve);
