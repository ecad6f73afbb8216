-- One row for each record that is a JSON object: the fields of its event, as texts or exact decimals.
-- decoded.duckdb.sql has the same columns.
--
-- json_extract_scalar gives a number as it is spelled. What json_extract gives has lost digits.
CREATE OR REPLACE VIEW decoded AS
WITH
    payloads AS (
        SELECT
            topic,
            day,
            line,
            json_extract_scalar(line, '$.eventType') AS event_type,
            json_extract_scalar(line, '$.timestamp') AS time_text,
            CASE
                WHEN topic = 'order.failed' THEN json_extract_scalar(line, '$.payload.originalPayload.customerId')
                ELSE json_extract_scalar(line, '$.payload.customerId')
            END AS customer_id,
            CASE
                WHEN topic = 'order.failed' THEN json_extract_scalar(line, '$.payload.originalPayload.totalAmount')
                ELSE json_extract_scalar(line, '$.payload.totalAmount')
            END AS amount_text,
            CASE
                WHEN topic = 'order.failed' THEN json_extract(line, '$.payload.originalPayload.items')
                ELSE json_extract(line, '$.payload.items')
            END AS items
        FROM records
        WHERE json_extract(line, '$') IS NOT NULL
    )
SELECT
    topic,
    day,
    event_type,
    json_extract_scalar(line, '$.orderId') AS order_id,
    json_extract_scalar(line, '$.correlationId') AS correlation_id,
    time_text,
    CAST(TRY(from_iso8601_timestamp(time_text)) AT TIME ZONE 'UTC' AS TIMESTAMP(3)) AS occurred_at,
    CAST(round(to_unixtime(TRY(from_iso8601_timestamp(time_text))) * 1000) AS BIGINT) AS occurred_ms,
    customer_id,
    CASE
        WHEN regexp_like(amount_text, '^-?[0-9]{1,40}([.][0-9]{1,40})?([eE][+-]?[0-9]{1,2})?$')
            THEN TRY_CAST(amount_text AS DECIMAL(38, 9))
    END AS amount,
    json_format(items) AS items,
    json_extract_scalar(line, '$.payload.failureReason') AS failure_reason,
    coalesce(json_extract_scalar(line, '$.payload.malformed') = 'true', false) AS is_marked_malformed,
    json_extract_scalar(line, '$.payload.source.topic') AS source_topic,
    json_extract_scalar(line, '$.payload.source.partition') AS source_partition,
    json_extract_scalar(line, '$.payload.source.offset') AS source_offset,
    line
FROM payloads
WHERE event_type IS NOT NULL
