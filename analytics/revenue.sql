-- Revenue by SKU and hour (UTC), when it was paid. An order's amount is shared among its SKUs by pieces.
SELECT
    date_trunc('hour', occurred_at) AS hour,
    sku,
    count(*) AS orders,
    CAST(sum(quantity) AS BIGINT) AS pieces,
    sum(amount) AS revenue
FROM lines
WHERE event_type = 'PaymentCompleted'
GROUP BY date_trunc('hour', occurred_at), sku
ORDER BY hour, sku
