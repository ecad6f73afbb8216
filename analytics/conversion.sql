-- Conversion per stage: the orders that it received, accepted and rejected, and those that still wait.
WITH
    counts AS (
        SELECT event_type, count(*) AS orders
        FROM events
        WHERE NOT is_malformed_report
        GROUP BY event_type
    ),
    decided AS (
        SELECT
            stages.position,
            stages.stage,
            max(stages.consumes) AS consumes,
            coalesce(sum(counts.orders) FILTER (WHERE stages.accepts), 0) AS accepted,
            coalesce(sum(counts.orders) FILTER (WHERE NOT stages.accepts), 0) AS rejected
        FROM stages
        LEFT JOIN counts ON stages.publishes = counts.event_type
        GROUP BY stages.position, stages.stage
    ),
    received AS (
        SELECT
            decided.position,
            decided.stage,
            decided.accepted,
            decided.rejected,
            CASE WHEN decided.consumes IS NULL THEN decided.accepted ELSE coalesce(counts.orders, 0) END AS received
        FROM decided
        LEFT JOIN counts ON decided.consumes = counts.event_type
    )
SELECT
    stage,
    CAST(received AS BIGINT) AS received,
    CAST(accepted AS BIGINT) AS accepted,
    CAST(rejected AS BIGINT) AS rejected,
    CAST(received - accepted - rejected AS BIGINT) AS waiting,
    round(100e0 * accepted / nullif(received, 0), 2) AS accepted_percent
FROM received
ORDER BY position
