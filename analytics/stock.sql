-- Pieces by SKU: reserved at any time; of these released after a failed payment, sold, or still held for
-- an order that waits for its payment; and the pieces of orders that were refused for lack of stock.
WITH
    released AS (
        SELECT order_id
        FROM events
        WHERE event_type = 'OrderPaymentFailed' AND NOT is_malformed_report
    ),
    moves AS (
        SELECT
            lines.sku,
            CASE WHEN lines.event_type = 'InventoryReserved' THEN lines.quantity ELSE 0 END AS reserved,
            CASE
                WHEN lines.event_type = 'InventoryReserved' AND released.order_id IS NOT NULL THEN lines.quantity
                ELSE 0
            END AS released,
            CASE WHEN lines.event_type = 'PaymentCompleted' THEN lines.quantity ELSE 0 END AS sold,
            CASE WHEN lines.event_type = 'OrderInventoryFailed' THEN lines.quantity ELSE 0 END AS refused
        FROM lines
        LEFT JOIN released ON lines.order_id = released.order_id
        WHERE lines.event_type IN ('InventoryReserved', 'PaymentCompleted', 'OrderInventoryFailed')
    )
SELECT
    sku,
    CAST(sum(reserved) AS BIGINT) AS reserved,
    CAST(sum(released) AS BIGINT) AS released,
    CAST(sum(sold) AS BIGINT) AS sold,
    CAST(sum(reserved) - sum(released) - sum(sold) AS BIGINT) AS held,
    CAST(sum(refused) AS BIGINT) AS refused
FROM moves
GROUP BY sku
ORDER BY sku
