-- One row for each event of a valid order and SKU: its pieces, and its share of the order's amount.
-- lines.duckdb.sql has the same columns.
--
-- An order has one amount and no prices, so its SKUs share the amount by pieces. A share is the
-- difference of two rounded sums, in hundredths unless the amount has a smaller part: the shares of an
-- order add up to its amount.
CREATE OR REPLACE VIEW lines AS
WITH
    items AS (
        SELECT
            event_id,
            json_extract_scalar(item, '$.sku') AS sku,
            TRY_CAST(json_extract_scalar(item, '$.quantity') AS DECIMAL(38, 9)) AS quantity
        FROM events
        CROSS JOIN UNNEST(TRY_CAST(json_parse(items) AS ARRAY(JSON))) AS line (item)
        WHERE
            NOT is_malformed_report
            AND event_type NOT IN ('OrderCreated', 'OrderValidationFailed')
    ),
    skus AS (
        SELECT
            event_id,
            sku,
            CAST(sum(quantity) AS BIGINT) AS quantity
        FROM items
        GROUP BY event_id, sku
    ),
    sums AS (
        SELECT
            event_id,
            sku,
            quantity,
            CAST(sum(quantity) OVER (PARTITION BY event_id) AS DECIMAL(38, 0)) AS pieces,
            CAST(sum(quantity) OVER (PARTITION BY event_id ORDER BY sku) AS DECIMAL(38, 0)) AS pieces_to_here
        FROM skus
    ),
    amounts AS (
        SELECT
            event_id,
            event_type,
            order_id,
            day,
            occurred_at,
            CASE
                WHEN amount = round(amount, 2) THEN CAST(0.01 AS DECIMAL(11, 9))
                ELSE CAST(0.000000001 AS DECIMAL(11, 9))
            END AS unit,
            CASE
                WHEN amount = round(amount, 2) THEN CAST(amount * 100 AS DECIMAL(38, 0))
                ELSE CAST(amount * 1000000000 AS DECIMAL(38, 0))
            END AS units
        FROM events
    )
SELECT
    event_id,
    event_type,
    order_id,
    day,
    occurred_at,
    sku,
    quantity,
    CAST(
        (
            (units * pieces_to_here - units * pieces_to_here % pieces) / pieces
            - (units * (pieces_to_here - quantity) - units * (pieces_to_here - quantity) % pieces) / pieces
        ) AS DECIMAL(27, 0)
    ) * unit AS amount
FROM sums
INNER JOIN amounts USING (event_id)
