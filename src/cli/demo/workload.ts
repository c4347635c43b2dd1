import { sleep } from '../../core/abort.js'
import { SERVER_ERROR } from '../../core/errors.js'
import type { Session } from '../../postgres/session.js'

/**
 * Works in the shop at `rate` transactions a second, until the signal. What somebody did to its tables meanwhile
 * (`DROP TABLE` in psql) does not end it: the step's error goes to `onTrouble`, once,
 * and the next step comes.
 */
export async function runWorkload(
  session: Session,
  rate: number,
  signal: AbortSignal,
  onTrouble: (problem: string) => Promise<void>,
): Promise<void> {
  // Also a statement that waits for a lock ends.
  const cut = () => session.destroy()
  const told = new Set<string>()
  signal.addEventListener('abort', cut, { once: true })
  try {
    for (let step = 0; ; step++) {
      await sleep((1000 / rate) * (0.5 + Math.random()), signal)
      try {
        await session.query(ROUND[step % ROUND.length]!)
      } catch (error) {
        if (!SERVER_ERROR.is(error)) throw error
        if (!told.has(error.message)) await onTrouble(error.message)
        told.add(error.message)
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    signal.removeEventListener('abort', cut)
  }
}

// Each is one statement, and so one transaction; those that find nothing to do leave no trace.

const ORDER = `
WITH basket AS (
       SELECT sku, price, 1 + floor(3 * random())::int AS quantity
         FROM products WHERE stock > 3 ORDER BY random() LIMIT 1 + floor(3 * random())::int),
     ordered AS (
       INSERT INTO orders (customer_id, total)
       SELECT id, (SELECT sum(price * quantity) FROM basket)
         FROM customers WHERE EXISTS (SELECT FROM basket) ORDER BY random() LIMIT 1
       RETURNING id),
     items AS (
       INSERT INTO order_items (order_id, sku, quantity, price)
       SELECT id, sku, quantity, price FROM ordered, basket)
UPDATE products SET stock = stock - quantity FROM basket, ordered WHERE products.sku = basket.sku`

const CART = `
INSERT INTO carts (customer_id, sku, quantity)
SELECT customers.id, products.sku, 1 FROM customers, products ORDER BY random() LIMIT 1
ON CONFLICT (customer_id, sku) DO UPDATE SET quantity = carts.quantity + 1`

const CHECKOUT = `
WITH buyer AS (SELECT customer_id AS id FROM carts ORDER BY random() LIMIT 1),
     bought AS (DELETE FROM carts USING buyer WHERE customer_id = buyer.id RETURNING sku, quantity),
     ordered AS (
       INSERT INTO orders (customer_id, total)
       SELECT id, (SELECT sum(price * quantity) FROM bought JOIN products USING (sku)) FROM buyer
       RETURNING id)
INSERT INTO order_items (order_id, sku, quantity, price)
SELECT id, sku, quantity, price FROM ordered, bought JOIN products USING (sku)`

const PAY = `
UPDATE orders SET status = 'paid', paid_at = now()
 WHERE id = (SELECT min(id) FROM orders WHERE status = 'placed')`

const SHIP = `
WITH shipped AS (
       UPDATE orders SET status = 'shipped'
        WHERE id = (SELECT min(id) FROM orders WHERE status = 'paid') RETURNING id)
SELECT pg_logical_emit_message(true, 'post', 'a parcel for order ' || id) FROM shipped`

const CANCEL = `
WITH cancelled AS (
       UPDATE orders SET status = 'cancelled'
        WHERE id = (SELECT max(id) FROM orders WHERE status = 'placed') RETURNING id),
     returned AS (
       DELETE FROM order_items USING cancelled WHERE order_id = id RETURNING sku, quantity)
UPDATE products SET stock = stock + quantity FROM returned WHERE products.sku = returned.sku`

/** Changes a key: the item's SKU is a part of it. */
const ANOTHER_COLOUR = `
UPDATE order_items SET sku = 'MUG-RED'
 WHERE (order_id, sku) = (
   SELECT order_id, sku FROM order_items blue
    WHERE sku = 'MUG-BLUE'
      AND NOT EXISTS (SELECT FROM order_items red WHERE red.order_id = blue.order_id AND red.sku = 'MUG-RED')
    ORDER BY order_id DESC LIMIT 1)`

const RESTOCK = `
UPDATE products SET stock = stock + 40 WHERE sku = (SELECT sku FROM products ORDER BY stock, sku LIMIT 1)`

const NEW_PRICE = `
UPDATE products SET price = round(price * 1.02, 2), tags = array_remove(tags, 'organic')
 WHERE sku = (SELECT sku FROM products ORDER BY random() LIMIT 1)`

const NEW_CUSTOMER = `
INSERT INTO customers (name, email, address)
SELECT name, lower(split_part(name, ' ', 1)) || '@example.org', address
  FROM (SELECT split_part(one.name, ' ', 1) || ' ' || split_part(other.name, ' ', 2) AS name, other.address
          FROM customers one, customers other ORDER BY random() LIMIT 1) made`

const NEW_ADDRESS = `
UPDATE customers SET address = address || '{"street": "Lake Road 4"}'
 WHERE id = (SELECT id FROM customers ORDER BY random() LIMIT 1)`

const GIFT_NOTES = 'ALTER TABLE orders ADD COLUMN IF NOT EXISTS gift_note text'

const GIFT_NOTE = `
UPDATE orders SET gift_note = 'Happy birthday!' WHERE id = (SELECT max(id) FROM orders WHERE status = 'placed')`

const CLEAR_CARTS = 'TRUNCATE carts'

/** In its first seconds everything that can happen to a table has happened once. */
const ROUND = [
  ...[ORDER, PAY, CART, SHIP, CANCEL, ORDER, GIFT_NOTES, GIFT_NOTE, CHECKOUT, ANOTHER_COLOUR],
  ...[RESTOCK, NEW_ADDRESS, ORDER, PAY, NEW_CUSTOMER, CART, ORDER, CART, NEW_PRICE, SHIP],
  ...[CHECKOUT, CART, PAY, ORDER, CLEAR_CARTS, CART, ORDER, PAY, CART, SHIP],
]
