/** Eight columns of mixed types; a row is about 140 bytes of text. */
const COLUMNS = `
  id int8 PRIMARY KEY,
  customer int4 NOT NULL,
  status text NOT NULL,
  amount numeric(12, 2) NOT NULL,
  created timestamptz NOT NULL,
  note text,
  active bool NOT NULL,
  score float8 NOT NULL`

/** A new table of that shape, without a row. */
export async function makeTable(client, table) {
  await client.query(`DROP TABLE IF EXISTS ${table}`)
  await client.query(`CREATE TABLE ${table} (${COLUMNS})`)
}

const NOTE = `CASE i % 10
        WHEN 0 THEN NULL
        WHEN 1 THEN 'Order no. ' || i || ' is for "the neighbours", who pay on delivery' || chr(10)
        ELSE 'Order no. ' || i || ' was taken by phone and goes by post on Monday'
      END`

/** Inserts rows `from` to `to`, which may be PL/pgSQL variables. */
export function insertSql(table, from, to, note = NOTE) {
  return `INSERT INTO ${table}
    SELECT i, (i::int8 * 7919) % 100000,
      (ARRAY['new', 'paid', 'shipped', 'returned'])[1 + i % 4],
      round((i % 100000) / 7.0::numeric, 2),
      '2026-01-01'::timestamptz + i * interval '1.234567 s',
      ${note},
      i % 3 = 0, i / 3.0::float8
    FROM generate_series(${from}, ${to}) i`
}

/** `rows` rows in transactions of `perTransaction`, all made by the server. */
export async function load(client, table, rows, perTransaction) {
  await client.query('SET synchronous_commit = off')
  await client.query(`DO $$ BEGIN
    FOR start IN 1..${rows} BY ${perTransaction} LOOP
      ${insertSql(table, 'start', `least(start + ${perTransaction - 1}, ${rows})`)};
      COMMIT;
    END LOOP;
  END $$`)
  await client.query('SET synchronous_commit = on')
}

/** What a row has as COPY text, newline included. */
export async function averageRowBytes(client, table) {
  const { rows } = await client.query(
    `SELECT avg(octet_length(concat_ws(E'\\t', id, customer, status, amount, created, coalesce(note, '\\N'), active, score)) + 1) AS bytes
       FROM (SELECT * FROM ${table} LIMIT 100000) t`,
  )
  return Math.round(Number(rows[0].bytes))
}
