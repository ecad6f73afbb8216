/** The next event of an order, and the headers of its record. */

export const TOPICS = {
  OrderValidated: 'order.validated',
  OrderValidationFailed: 'order.failed',
  InventoryReserved: 'order.inventory-reserved',
  OrderInventoryFailed: 'order.failed',
};

const STAGES = {
  OrderValidated: 'validator',
  OrderValidationFailed: 'validator',
  InventoryReserved: 'inventory',
  OrderInventoryFailed: 'inventory',
};

/** Serializes the next event of the same order; all other fields are unchanged. */
export function nextEvent(event, eventType, payload) {
  return JSON.stringify({ ...event, eventType, timestamp: new Date().toISOString(), payload });
}

export function failureEvent(event, eventType, failureReason, { topic, partition, offset }) {
  return nextEvent(event, eventType, {
    originalPayload: event.payload,
    failureReason,
    stage: STAGES[eventType],
    source: { topic, partition, offset },
  });
}

export function cloudEventHeaders({ eventType, orderId, timestamp }) {
  return {
    ce_specversion: '1.0',
    ce_id: `${orderId}/${eventType}`,
    ce_type: eventType,
    ce_source: `/order-workflow/${STAGES[eventType]}`,
    ce_time: timestamp,
    ce_subject: orderId,
    'content-type': 'application/json',
  };
}
