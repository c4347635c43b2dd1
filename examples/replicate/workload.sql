-- A day in the shop, in some transactions.
BEGIN;
INSERT INTO orders SELECT coalesce(max(id), 0) + 1, 7, 12.50, 'new' FROM orders;
INSERT INTO visits VALUES (7, now(), '/tea/earl-grey');
COMMIT;

BEGIN;
UPDATE orders SET state = 'shipped' WHERE state = 'new' AND id IN (SELECT id FROM orders WHERE state = 'new' ORDER BY id LIMIT 50);
UPDATE customers SET name = name || '.' WHERE id = 1 + (random() * 1999)::int;
COMMIT;

-- A customer gets another number, and takes the orders along.
BEGIN;
INSERT INTO customers SELECT max(id) + 1, 'Moved', NULL FROM customers;
UPDATE orders SET customer = (SELECT max(id) FROM customers) WHERE customer = (SELECT max(customer) FROM orders);
COMMIT;

DELETE FROM orders WHERE id = (SELECT min(id) FROM orders WHERE state = 'shipped');
