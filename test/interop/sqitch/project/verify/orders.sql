SELECT id, customer, amount FROM orders WHERE false;
