-- One row for each record that is a JSON object: the fields of its event, as texts or exact decimals.
-- decoded.athena.sql has the same columns.
--
-- DuckDB reads the numbers in a JSON text as doubles, so all numbers become texts first. The pattern
-- takes whole strings and whatever is neither string nor number, then one number. The number added occurred_at
-- the end keeps it from starting within a string behind the last one.
CREATE OR REPLACE VIEW decoded AS
WITH
    quoted AS (
        SELECT
            topic,
            day,
            line,
            left(
                regexp_replace(
                    CASE WHEN json_valid(line) THEN line || ' 0' END,
                    '((?:"(?:[^"\\]|\\.)*"|[^"0-9-])*)(-?[0-9][0-9.eE+-]*)',
                    '\1"\2"',
                    'g'
                ),
                -4
            ) AS json
        FROM records
    ),
    payloads AS (
        SELECT
            topic,
            day,
            line,
            json,
            json_extract_string(json, '$.timestamp') AS time_text,
            json_extract(json, '$.payload') AS payload,
            CASE
                WHEN topic = 'order.failed' THEN json_extract(json, '$.payload.originalPayload')
                ELSE json_extract(json, '$.payload')
            END AS ordered
        FROM quoted
    )
SELECT
    topic,
    day,
    json_extract_string(json, '$.eventType') AS event_type,
    json_extract_string(json, '$.orderId') AS order_id,
    json_extract_string(json, '$.correlationId') AS correlation_id,
    time_text,
    TRY_CAST(time_text AS TIMESTAMP) AS occurred_at,
    epoch_ms(TRY_CAST(time_text AS TIMESTAMP)) AS occurred_ms,
    json_extract_string(ordered, '$.customerId') AS customer_id,
    CASE
        WHEN
            regexp_matches(
                json_extract_string(ordered, '$.totalAmount'),
                '^-?[0-9]{1,40}([.][0-9]{1,40})?([eE][+-]?[0-9]{1,2})?$'
            )
            THEN TRY_CAST(json_extract_string(ordered, '$.totalAmount') AS DECIMAL(38, 9))
    END AS amount,
    CAST(json_extract(ordered, '$.items') AS VARCHAR) AS items,
    json_extract_string(payload, '$.failureReason') AS failure_reason,
    coalesce(json_extract_string(payload, '$.malformed') = 'true', false) AS is_marked_malformed,
    json_extract_string(payload, '$.source.topic') AS source_topic,
    json_extract_string(payload, '$.source.partition') AS source_partition,
    json_extract_string(payload, '$.source.offset') AS source_offset,
    line
FROM payloads
WHERE json_type(json) = 'OBJECT'
