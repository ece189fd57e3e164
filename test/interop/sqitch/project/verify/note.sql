SELECT note FROM orders WHERE false;
