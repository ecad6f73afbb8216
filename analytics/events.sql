-- One row for each event, without repeats and without records that are no event of their topic.
--
-- `event_id` is the header `ce_id`, made of fields of the value, because the archive has no headers.
-- The report of a malformed record has the time in the place of the digest in its `ce_id`.
CREATE OR REPLACE VIEW events AS
WITH
    identified AS (
        SELECT
            CASE
                WHEN NOT stages.accepts AND decoded.is_marked_malformed
                    THEN concat(
                        coalesce(source_topic, ''), '-',
                        coalesce(source_partition, ''), '-',
                        coalesce(source_offset, ''), '@',
                        time_text, '/', event_type
                    )
                ELSE concat(order_id, '/', event_type)
            END AS event_id,
            NOT stages.accepts AND decoded.is_marked_malformed AS is_malformed_report,
            stages.stage,
            decoded.*
        FROM decoded
        INNER JOIN stages ON decoded.event_type = stages.publishes AND decoded.topic = stages.topic
        WHERE
            decoded.order_id IS NOT NULL
            -- Trino takes 02-06 for a date of the year 2.
            AND decoded.time_text LIKE '____-__-__T%'
            AND decoded.occurred_ms IS NOT NULL
    ),
    numbered AS (
        SELECT
            identified.*,
            row_number() OVER (PARTITION BY event_id ORDER BY day, line) AS delivery
        FROM identified
    )
SELECT
    event_id,
    topic,
    day,
    event_type,
    stage,
    order_id,
    correlation_id,
    occurred_at,
    occurred_ms,
    customer_id,
    amount,
    items,
    failure_reason,
    is_malformed_report,
    line
FROM numbered
WHERE delivery = 1
