"""Validation rules of an order's payload, the same as in shared/contracts/src/order.rs."""

from collections import Counter
from decimal import Decimal

MAX_KEY_BYTES = 256
MAX_QUANTITY = 1_000_000_000
MAX_DIGITS = 28


def customer_id_errors(payload: dict) -> list[str]:
    return _text_errors(payload, "customerId", "customerId")


def item_errors(payload: dict) -> list[str]:
    if "items" not in payload:
        return ["missing items"]
    items = payload["items"]
    if not isinstance(items, list) or not items:
        return ["items must be a list of at least one item"]
    errors = []
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            errors.append(f"items[{index}] must be an object with sku and quantity")
            continue
        errors += _text_errors(item, "sku", f"items[{index}].sku")
        if not _is_quantity(item.get("quantity")):
            errors.append(
                f"items[{index}].quantity must be a whole number from 1 to {MAX_QUANTITY}"
            )
    return errors


def total_amount_errors(payload: dict, currency_decimals: int) -> list[str]:
    if "totalAmount" not in payload:
        return ["missing totalAmount"]
    if not _is_number(payload["totalAmount"]):
        return ["totalAmount must be a number"]
    # repr returns the shortest digits of the same float: 99.98, not 99.9800000001.
    amount = Decimal(repr(payload["totalAmount"]))
    if not amount.is_finite() or len(amount.as_tuple().digits) > MAX_DIGITS:
        return [f"totalAmount must have at most {MAX_DIGITS} digits"]
    if amount <= 0:
        return ["totalAmount must be above zero"]
    if -amount.normalize().as_tuple().exponent > currency_decimals:
        return [f"totalAmount must have at most {currency_decimals} decimals"]
    return []


def quantity_by_sku(payload: dict) -> dict[str, int]:
    quantities = Counter()
    for item in payload["items"]:
        quantities[item["sku"]] += int(item["quantity"])
    return quantities


def _text_errors(fields: dict, field: str, name: str) -> list[str]:
    if field not in fields:
        return [f"missing {name}"]
    text = fields[field]
    if not isinstance(text, str):
        return [f"{name} must be text"]
    if not text.strip():
        return [f"{name} must not be empty"]
    if len(text.encode()) > MAX_KEY_BYTES:
        return [f"{name} must have at most {MAX_KEY_BYTES} bytes"]
    return []


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_quantity(value: object) -> bool:
    is_whole = _is_number(value) and (isinstance(value, int) or value.is_integer())
    return is_whole and 1 <= value <= MAX_QUANTITY
