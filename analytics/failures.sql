-- Failures by reason: of orders, and of records that were malformed.
SELECT
    CASE WHEN is_malformed_report THEN 'record' ELSE 'order' END AS subject,
    stage,
    split_part(failure_reason, ':', 1) AS code,
    count(*) AS failures,
    min(occurred_at) AS first_at,
    max(occurred_at) AS last_at
FROM events
WHERE topic = 'order.failed'
GROUP BY is_malformed_report, stage, split_part(failure_reason, ':', 1)
ORDER BY subject, failures DESC, stage, code
