-- The stages that publish: for each of their events, the event before it.
CREATE OR REPLACE VIEW stages AS
SELECT position, stage, consumes, publishes, topic, accepts
FROM
    (
        VALUES
            (1, 'order-api', NULL, 'OrderCreated', 'order.created', true),
            (2, 'validator', 'OrderCreated', 'OrderValidated', 'order.validated', true),
            (2, 'validator', 'OrderCreated', 'OrderValidationFailed', 'order.failed', false),
            (3, 'inventory', 'OrderValidated', 'InventoryReserved', 'order.inventory-reserved', true),
            (3, 'inventory', 'OrderValidated', 'OrderInventoryFailed', 'order.failed', false),
            (4, 'payment', 'InventoryReserved', 'PaymentCompleted', 'order.payment-completed', true),
            (4, 'payment', 'InventoryReserved', 'OrderPaymentFailed', 'order.failed', false),
            (5, 'notification', 'PaymentCompleted', 'OrderCompleted', 'order.completed', true),
            (5, 'notification', 'PaymentCompleted', 'OrderNotificationFailed', 'order.failed', false)
    ) AS published (position, stage, consumes, publishes, topic, accepts)
