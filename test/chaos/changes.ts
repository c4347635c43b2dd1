import type { ClientBase } from 'pg'
import type { Random } from './random.js'

/** One kind of change inside a transaction. */
type Change = (client: ClientBase, random: Random) => Promise<unknown>

/** Somewhere among the rows there are, by key; none when the table is empty. */
const ITEM = '(SELECT id FROM items WHERE id >= $1::float8 * (SELECT last_value FROM items_id_seq) ORDER BY id LIMIT 1)'
const DOCUMENT =
  '(SELECT id FROM documents WHERE id >= $1::float8 * (SELECT last_value FROM documents_id_seq) ORDER BY id LIMIT 1)'
const ORDER =
  '(SELECT id FROM orders WHERE id >= $1::float8 * (SELECT last_value FROM orders_id_seq) ORDER BY id LIMIT 1)'
const NOTE = '(SELECT id FROM notes WHERE id >= $1::float8 * (SELECT last_value FROM notes_id_seq) ORDER BY id LIMIT 1)'
const PLACE = '(SELECT p.ctid FROM "Odd.Schema".places p ORDER BY md5(p."City" || $1::text) LIMIT 1)'
const LABEL = '(SELECT label FROM labels WHERE label >= $1::text ORDER BY label LIMIT 1)'
const SESSION = '(SELECT id FROM sessions WHERE id >= md5($1::text)::uuid ORDER BY id LIMIT 1)'
const READING = '(SELECT ctid FROM readings WHERE sensor = $1::int LIMIT 1)'

const TEXTS = [
  'plain',
  'with "quotes" and \\ and /',
  'lines\r\n\tand tabs',
  '🌊 träfe',
  '',
  '\u0001\u001f\u007f',
  "it's",
]

/** A few rows each. */
const SMALL: Readonly<Record<string, Change>> = {
  insertItem: (client, random) =>
    client.query('INSERT INTO items (name, amount, attributes, tags, ratio) VALUES ($1, $2, $3, $4, $5)', [
      random.pick(TEXTS),
      random.chance(0.1) ? 'NaN' : `${random.integer(-9e9, 9e9)}.${random.integer(0, 1e9)}`,
      JSON.stringify({ text: random.pick(TEXTS), list: [random.fraction(), null, {}] }),
      [random.pick(TEXTS), null, random.pick(TEXTS)],
      random.chance(0.1) ? '-Infinity' : random.fraction(),
    ]),
  updateItem: (client, random) =>
    client.query(`UPDATE items SET version = version + 1, name = $2, changed = clock_timestamp() WHERE id = ${ITEM}`, [
      random.fraction(),
      random.pick(TEXTS),
    ]),
  deleteItem: (client, random) => client.query(`DELETE FROM items WHERE id = ${ITEM}`, [random.fraction()]),
  moveItem: (client, random) =>
    client.query(`UPDATE items SET version = version + 1, id = nextval('items_id_seq') WHERE id = ${ITEM}`, [
      random.fraction(),
    ]),
  insertPlace: (client, random) =>
    client.query(
      'INSERT INTO "Odd.Schema".places VALUES ($1, $2, 0, $3) ON CONFLICT (country, "City") DO UPDATE SET version = places.version + 1, population = excluded.population',
      [random.pick(TEXTS), `${random.pick(TEXTS)},${random.integer(1, 500)}`, random.integer(0, 2 ** 50)],
    ),
  movePlace: (client, random) =>
    client.query(
      `UPDATE "Odd.Schema".places SET version = version + 1, country = $2, "City" = "City" || $2 WHERE ctid = ${PLACE}`,
      [random.integer(0, 1e6), random.pick(TEXTS)],
    ),
  deletePlace: (client, random) =>
    client.query(`DELETE FROM "Odd.Schema".places WHERE ctid = ${PLACE}`, [random.integer(0, 1e6)]),
  insertDocument: (client, random) =>
    client.query(
      `INSERT INTO documents (title, body, scan) VALUES ($1, repeat($2, $3), decode(repeat($4, $3), 'hex'))`,
      [random.pick(TEXTS), random.pick(TEXTS), random.integer(0, 2000), random.pick(['00', 'deadbeef'])],
    ),
  // Its large columns are not sent.
  retitleDocument: (client, random) =>
    client.query(`UPDATE documents SET version = version + 1, title = $2 WHERE id = ${DOCUMENT}`, [
      random.fraction(),
      random.pick(TEXTS),
    ]),
  moveDocument: (client, random) =>
    client.query(
      `UPDATE documents SET version = version + 1, id = nextval('documents_id_seq') WHERE id = ${DOCUMENT}`,
      [random.fraction()],
    ),
  rewriteDocument: (client, random) =>
    client.query(
      `UPDATE documents SET version = version + 1, body = nullif(repeat(title, $2), '') WHERE id = ${DOCUMENT}`,
      [random.fraction(), random.integer(0, 1000)],
    ),
  deleteDocument: (client, random) => client.query(`DELETE FROM documents WHERE id = ${DOCUMENT}`, [random.fraction()]),
  insertNote: (client, random) =>
    client.query('INSERT INTO notes (title, body) VALUES ($1, repeat($2, $3))', [
      random.pick(TEXTS),
      random.pick(TEXTS),
      random.integer(0, 2000),
    ]),
  // Its large column is not sent with the new row, and stands in the old one.
  retitleNote: (client, random) =>
    client.query(`UPDATE notes SET version = version + 1, title = $2 WHERE id = ${NOTE}`, [
      random.fraction(),
      random.pick(TEXTS),
    ]),
  moveNote: (client, random) =>
    client.query(`UPDATE notes SET version = version + 1, id = nextval('notes_id_seq') WHERE id = ${NOTE}`, [
      random.fraction(),
    ]),
  deleteNote: (client, random) => client.query(`DELETE FROM notes WHERE id = ${NOTE}`, [random.fraction()]),
  insertVisits: (client, random) =>
    client.query('INSERT INTO visits SELECT $1, $2 FROM generate_series(1, 2)', [
      random.integer(0, 99),
      random.pick(TEXTS),
    ]),
  // It would fail, were the table published with its updates; and changes nothing that could be seen.
  touchVisits: (client, random) =>
    client.query(
      'UPDATE visits SET page = page WHERE ctid = (SELECT ctid FROM visits WHERE visitor = $1::int LIMIT 1)',
      [random.integer(0, 99)],
    ),
  insertReadings: (client, random) =>
    client.query(`INSERT INTO readings SELECT $1, $2, $3 FROM generate_series(1, 3)`, [
      random.integer(0, 49),
      random.integer(0, 20),
      random.pick(TEXTS),
    ]),
  updateReading: (client, random) =>
    client.query(`UPDATE readings SET value = value + 1 WHERE ctid = ${READING}`, [random.integer(0, 49)]),
  deleteReading: (client, random) =>
    client.query(`DELETE FROM readings WHERE ctid = ${READING}`, [random.integer(0, 49)]),
  insertOrder: (client, random) =>
    client.query('INSERT INTO orders (region, total) VALUES ($1, $2)', [
      random.pick(['north', 'south', 'west']),
      random.integer(0, 1e9),
    ]),
  updateOrder: (client, random) =>
    client.query(`UPDATE orders SET version = version + 1, total = total + 0.01 WHERE id = ${ORDER}`, [
      random.fraction(),
    ]),
  // To another partition, often.
  moveOrder: (client, random) =>
    client.query(`UPDATE orders SET version = version + 1, region = $2 WHERE id = ${ORDER}`, [
      random.fraction(),
      random.pick(['north', 'south', 'east', 'west']),
    ]),
  deleteOrder: (client, random) => client.query(`DELETE FROM orders WHERE id = ${ORDER}`, [random.fraction()]),
  // To the other end of the table, and back, without the large columns.
  mirrorDocument: (client, random) =>
    client.query(`UPDATE documents SET version = version + 1, id = -id WHERE id = ${DOCUMENT}`, [signed(random)]),
  mirrorItem: (client, random) =>
    client.query(`UPDATE items SET version = version + 1, id = -id WHERE id = ${ITEM}`, [signed(random)]),
  swapItems: (client, random) =>
    swap(client, 'items', 'id', "nextval('items_id_seq')", [ITEM, signed(random)], [ITEM, signed(random)]),
  swapDocuments: (client, random) =>
    swap(
      client,
      'documents',
      'id',
      "nextval('documents_id_seq')",
      [DOCUMENT, signed(random)],
      [DOCUMENT, signed(random)],
    ),
  insertLabel: (client, random) =>
    client.query(
      'INSERT INTO labels VALUES ($1, 0, $2) ON CONFLICT (label) DO UPDATE SET version = labels.version + 1',
      [drawnLabel(random), random.integer(0, 1e6)],
    ),
  updateLabel: (client, random) =>
    client.query(`UPDATE labels SET version = version + 1, uses = uses + 1 WHERE label = ${LABEL}`, [
      drawnLabel(random),
    ]),
  moveLabel: (client, random) =>
    client.query(`UPDATE labels SET version = version + 1, label = $2 WHERE label = ${LABEL}`, [
      drawnLabel(random),
      drawnLabel(random),
    ]),
  deleteLabel: (client, random) => client.query(`DELETE FROM labels WHERE label = ${LABEL}`, [drawnLabel(random)]),
  swapLabels: (client, random) =>
    swap(client, 'labels', 'label', `'swap ' || random()`, [LABEL, drawnLabel(random)], [LABEL, drawnLabel(random)]),
  insertSession: (client, random) =>
    client.query('INSERT INTO sessions VALUES (gen_random_uuid(), 0, $1)', [random.pick(TEXTS)]),
  updateSession: (client, random) =>
    client.query(`UPDATE sessions SET version = version + 1, agent = $2 WHERE id = ${SESSION}`, [
      random.fraction(),
      random.pick(TEXTS),
    ]),
  moveSession: (client, random) =>
    client.query(`UPDATE sessions SET version = version + 1, id = gen_random_uuid() WHERE id = ${SESSION}`, [
      random.fraction(),
    ]),
  deleteSession: (client, random) => client.query(`DELETE FROM sessions WHERE id = ${SESSION}`, [random.fraction()]),
  swapSessions: (client, random) =>
    swap(client, 'sessions', 'id', 'gen_random_uuid()', [SESSION, random.fraction()], [SESSION, random.fraction()]),
}

/** Where a key is looked for: on this side of zero, or on that of those that were mirrored. */
function signed(random: Random): number {
  return random.fraction() * random.pick([1, -1])
}

function drawnLabel(random: Random): string {
  return `${random.pick(['a', 'B', 'ä', 'Ä', '_', 'z', 'Å', '-b', 'b', ''])}${random.integer(1, 20_000)}`
}

/** Two rows exchange their keys, by way of a third key. Each place is a subquery and its parameter. */
async function swap(
  client: ClientBase,
  table: string,
  key: string,
  free: string,
  one: readonly [string, unknown],
  other: readonly [string, unknown],
): Promise<void> {
  const find = async ([place, parameter]: readonly [string, unknown]) =>
    (await client.query<{ key: string }>(`SELECT ${place}::text AS key`, [parameter])).rows[0]!.key
  const [a, b] = [await find(one), await find(other)]
  if (a === null || b === null || a === b) return
  const type = key === 'label' ? 'text' : table === 'sessions' ? 'uuid' : 'int8'
  const move = async (from: string, to: string, parameters: unknown[]) =>
    client.query(
      `UPDATE ${table} SET version = version + 1, ${key} = ${to} WHERE ${key} = ${from} RETURNING ${key}::text AS key`,
      parameters,
    )
  const { rows } = await move(`$1::${type}`, free, [a])
  if (rows.length === 0) return
  await move(`$1::${type}`, `$2::${type}`, [b, a])
  await move(`$1::${type}`, `$2::${type}`, [rows[0].key, b])
}

/** `rows` each, by one statement. */
const BULK: Readonly<Record<string, (client: ClientBase, random: Random, rows: number) => Promise<unknown>>> = {
  insertItems: (client, _, rows) =>
    client.query(`INSERT INTO items (name, amount) SELECT 'bulk ' || i, i FROM generate_series(1, $1::int) i`, [rows]),
  updateItems: (client, random, rows) =>
    client.query(
      `UPDATE items SET version = version + 1, amount = amount + 1
        WHERE id IN (SELECT id FROM items WHERE id >= ${ITEM} ORDER BY id LIMIT $2)`,
      [random.fraction(), rows],
    ),
  deleteItems: (client, random, rows) =>
    client.query(`DELETE FROM items WHERE id IN (SELECT id FROM items WHERE id >= ${ITEM} ORDER BY id LIMIT $2)`, [
      random.fraction() / 2,
      rows,
    ]),
  moveOrders: (client, random, rows) =>
    client.query(
      `UPDATE orders SET version = version + 1, region = $2
        WHERE id IN (SELECT id FROM orders WHERE id >= ${ORDER} ORDER BY id LIMIT $3)`,
      [random.fraction(), random.pick(['north', 'south', 'east']), rows],
    ),
  mirrorItems: (client, random, rows) =>
    client.query(
      `UPDATE items SET version = version + 1, id = -id
        WHERE id IN (SELECT id FROM items WHERE id >= ${ITEM} ORDER BY id LIMIT $2)`,
      [signed(random), Math.ceil(rows / 10)],
    ),
  updateSessions: (client, random, rows) =>
    client.query(
      `UPDATE sessions SET version = version + 1
        WHERE id IN (SELECT id FROM sessions WHERE id >= ${SESSION} ORDER BY id LIMIT $2)`,
      [random.fraction(), rows],
    ),
  insertVisits: (client, _, rows) =>
    client.query(`INSERT INTO visits SELECT i % 100, 'bulk' FROM generate_series(1, $1::int) i`, [rows]),
  insertReadings: (client, random, rows) =>
    client.query(`INSERT INTO readings SELECT i % 50, $1, 'bulk' FROM generate_series(1, $2::int) i`, [
      random.integer(0, 5),
      rows,
    ]),
}

export type SmallChange = string

/** Those whose names match, of all small changes. */
export function smallChanges(names: RegExp): readonly SmallChange[] {
  return Object.keys(SMALL).filter((name) => names.test(name))
}

export function smallChange(client: ClientBase, random: Random, among: readonly SmallChange[]): Promise<unknown> {
  return SMALL[random.pick(among)]!(client, random)
}

export function bulkChange(client: ClientBase, random: Random, rows: number): Promise<unknown> {
  return BULK[random.pick(Object.keys(BULK))]!(client, random, rows)
}

/** Not of `items` and `journal`, which the snapshot and the count of transactions live on. */
export async function truncateSome(client: ClientBase, random: Random): Promise<void> {
  // Behind a snapshot's lock it would make all others wait.
  await client.query("SET LOCAL lock_timeout = '100ms'")
  const tables = random.pick([
    'readings',
    'visits, notes',
    'documents, "Odd.Schema".places',
    'orders RESTART IDENTITY',
    'documents CASCADE',
  ])
  await client.query(`TRUNCATE ${tables}`)
}
