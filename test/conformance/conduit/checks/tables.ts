/** Keys of all kinds, two schemas with a table of the same name, and a partitioned table. */
export const KEYED_TABLES = 'lines,devices,countries,orders,archive.orders,measured,odd'

export function keyedSql(partitions: number): string {
  const parts = Array.from({ length: partitions }, (_, remainder) => {
    return `CREATE TABLE measured_${remainder} PARTITION OF measured FOR VALUES WITH (MODULUS ${partitions}, REMAINDER ${remainder});`
  })
  return `
  CREATE TABLE lines (order_no int8, line text, amount numeric(12, 2), note text, PRIMARY KEY (order_no, line));
  CREATE TABLE devices (id uuid PRIMARY KEY, name text, seen timestamptz);
  CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);
  CREATE TABLE orders (id int4 PRIMARY KEY, note text);
  CREATE SCHEMA archive;
  CREATE TABLE archive.orders (id int4 PRIMARY KEY, archived date, tags text[]);
  CREATE TABLE measured (id int8, at timestamp NOT NULL, value float8, PRIMARY KEY (id)) PARTITION BY HASH (id);
  CREATE TABLE odd ("a key" text, "Größe" int4, "x-y" bool, PRIMARY KEY ("a key"));
  ${parts.join('\n')}`
}

const DEVICE = (n: string) => `md5((${n})::text)::uuid`

/** Rows `from` to `to` of each. */
export function rowsSql(from: number, to: number): string {
  const n = `generate_series(${from}, ${to}) AS n`
  return `
  INSERT INTO lines SELECT n / 3, 'line ' || n % 3, n / 7.0, CASE WHEN n % 4 > 0 THEN 'note ' || n END FROM ${n};
  INSERT INTO devices SELECT ${DEVICE('n')}, 'device ' || n, '2026-01-01'::timestamptz + n * interval '1.000001 s' FROM ${n};
  INSERT INTO countries SELECT 'c''' || n || E'\\\\', E'Côte d''Ivoire\\n' || n FROM ${n};
  INSERT INTO orders SELECT n, nullif('order ' || n % 5, 'order 0') FROM ${n};
  INSERT INTO archive.orders SELECT n, '2026-01-01'::date + n, ARRAY['a', NULL, n::text] FROM ${n};
  INSERT INTO measured SELECT n, '2026-01-01'::timestamp + n * interval '1 s', n / 3.0 FROM ${n};
  INSERT INTO odd SELECT 'k ' || n, n, n % 2 = 0 FROM ${n};`
}

/** Changes of all kinds on rows up to `rows`, keys among them: what to change is said by `round`. */
export function changesSql(round: number, rows: number): string {
  const some = (number: string) => `(${number}) % 5 = ${round % 5} AND (${number}) <= ${rows}`
  return `
  UPDATE lines SET amount = amount + 1, note = NULL WHERE ${some('order_no')};
  UPDATE lines SET line = line || '*' WHERE order_no = ${round + 1};
  UPDATE devices SET name = name || '.', seen = NULL WHERE id IN (SELECT ${DEVICE('n')} FROM generate_series(1, ${rows}, 7) n);
  UPDATE countries SET code = code || '+' WHERE code = 'c''${round + 2}\\';
  DELETE FROM countries WHERE code = 'c''${rows - round}\\';
  UPDATE orders SET note = 'round ${round}' WHERE ${some('id')};
  DELETE FROM orders WHERE id = ${rows - round};
  UPDATE archive.orders SET tags = tags || '{"new one"}' WHERE ${some('id')};
  UPDATE measured SET value = -value WHERE ${some('id')};
  UPDATE measured SET id = id + 1000000 WHERE id = ${round + 1};
  DELETE FROM measured WHERE id = ${rows - round};
  UPDATE odd SET "Größe" = "Größe" + 1 WHERE "x-y";
  ${rowsSql(rows + 1 + 10 * round, rows + 10 + 10 * round)}`
}
