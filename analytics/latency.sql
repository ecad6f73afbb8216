-- Milliseconds from the event that a stage consumes to the one that it publishes, and of whole orders.
-- Percentiles are exact, by nearest rank. Clocks of two functions may differ by some milliseconds.
WITH
    orders AS (
        SELECT order_id, event_type, occurred_ms
        FROM events
        WHERE NOT is_malformed_report
    ),
    terminal AS (
        SELECT publishes AS event_type
        FROM stages
        WHERE publishes NOT IN (SELECT consumes FROM stages WHERE consumes IS NOT NULL)
    ),
    steps AS (
        SELECT position, stage, consumes, publishes
        FROM stages
        WHERE consumes IS NOT NULL
        UNION ALL
        SELECT 99, 'whole order', 'OrderCreated', event_type
        FROM terminal
    ),
    spans AS (
        SELECT steps.position, steps.stage, published.occurred_ms - consumed.occurred_ms AS ms
        FROM steps
        INNER JOIN orders AS published ON steps.publishes = published.event_type
        INNER JOIN orders AS consumed
            ON steps.consumes = consumed.event_type AND published.order_id = consumed.order_id
    ),
    ranked AS (
        SELECT position, stage, ms, cume_dist() OVER (PARTITION BY position ORDER BY ms) AS rank
        FROM spans
    )
SELECT
    stage,
    count(*) AS orders,
    min(ms) FILTER (WHERE rank >= 0.5) AS p50_ms,
    min(ms) FILTER (WHERE rank >= 0.99) AS p99_ms,
    max(ms) AS max_ms
FROM ranked
GROUP BY position, stage
ORDER BY position
