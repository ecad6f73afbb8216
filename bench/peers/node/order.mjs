/** Validation rules of an order's payload, the same as in shared/contracts/src/order.rs. */

const MAX_KEY_BYTES = 256;
const MAX_QUANTITY = 1_000_000_000;

export const customerIdErrors = (payload) => textErrors(payload, 'customerId', 'customerId');

export function itemErrors(payload) {
  const { items } = payload;
  if (items === undefined) return ['missing items'];
  if (!Array.isArray(items) || items.length === 0) {
    return ['items must be a list of at least one item'];
  }
  return items.flatMap((item, index) => {
    if (!isObject(item)) return [`items[${index}] must be an object with sku and quantity`];
    const errors = textErrors(item, 'sku', `items[${index}].sku`);
    if (!isQuantity(item.quantity)) {
      errors.push(`items[${index}].quantity must be a whole number from 1 to ${MAX_QUANTITY}`);
    }
    return errors;
  });
}

export function totalAmountErrors(payload, currencyDecimals) {
  const { totalAmount } = payload;
  if (totalAmount === undefined) return ['missing totalAmount'];
  if (typeof totalAmount !== 'number') return ['totalAmount must be a number'];
  if (!Number.isFinite(totalAmount)) return ['totalAmount must have at most 28 digits'];
  if (totalAmount <= 0) return ['totalAmount must be above zero'];
  if (Number(totalAmount.toFixed(currencyDecimals)) !== totalAmount) {
    return [`totalAmount must have at most ${currencyDecimals} decimals`];
  }
  return [];
}

export function quantityBySku(payload) {
  const quantities = new Map();
  for (const { sku, quantity } of payload.items) {
    quantities.set(sku, (quantities.get(sku) ?? 0) + quantity);
  }
  return quantities;
}

function textErrors(fields, field, name) {
  const text = fields[field];
  if (text === undefined) return [`missing ${name}`];
  if (typeof text !== 'string') return [`${name} must be text`];
  if (text.trim() === '') return [`${name} must not be empty`];
  if (Buffer.byteLength(text) > MAX_KEY_BYTES) {
    return [`${name} must have at most ${MAX_KEY_BYTES} bytes`];
  }
  return [];
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

const isQuantity = (value) => Number.isInteger(value) && value >= 1 && value <= MAX_QUANTITY;
