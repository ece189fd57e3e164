SELECT id, order_id FROM payments WHERE false;
