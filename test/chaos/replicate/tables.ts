/** Those of the source and, but for how the partitions are cut, of the target. */
export const TABLES = ['log', 'documents', 'codes', 'events', 'orders'] as const

const COMMON = `
  -- No key: appended.
  CREATE TABLE log (writer int4 NOT NULL, n int4 NOT NULL, note text);
  -- Large values that most updates leave alone.
  CREATE TABLE documents (id int8 PRIMARY KEY, version int4 NOT NULL, body text, title text NOT NULL);
  ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;
  -- A key of texts, which change.
  CREATE TABLE codes (region text, code text, value int4 NOT NULL, note text, PRIMARY KEY (region, code));
  CREATE TABLE events (id int8 PRIMARY KEY, kind text NOT NULL, amount numeric, at timestamptz) PARTITION BY HASH (id);
  CREATE TABLE orders (
    id int8 PRIMARY KEY,
    document int8 NOT NULL REFERENCES documents ON DELETE CASCADE,
    before int8 REFERENCES orders ON DELETE SET NULL,
    amount numeric(12, 2) NOT NULL,
    tags text[]
  );
  CREATE INDEX ON orders (document);
  CREATE INDEX ON orders (before);`

const REGIONS = `(ARRAY['nord', 'süd', E'o\\\\st', 'we''st'])`

/** With its first rows: `rows` of events and of the log, fewer of the others. */
export function sourceSql(rows: number): string {
  const [documents, orders, codes] = [Math.ceil(rows / 10), Math.ceil(rows / 2), Math.ceil(rows / 4)]
  return `${COMMON}
  ${partitions(3)}
  INSERT INTO log SELECT 0, n, repeat(md5(n::text), 2) FROM generate_series(1, ${rows}) n;
  INSERT INTO documents
    SELECT n, 0, repeat(md5(n::text), 100 + n % 60), 'document ' || n FROM generate_series(1, ${documents}) n;
  INSERT INTO codes SELECT ${REGIONS}[1 + n % 4], 'c' || n, n, md5(n::text) FROM generate_series(1, ${codes}) n;
  INSERT INTO events SELECT n, 'first', n / 3.0, '2026-01-01'::timestamptz + n * interval '1 s' FROM generate_series(1, ${rows}) n;
  INSERT INTO orders
    SELECT n, 1 + n % ${documents}, nullif(n / 2, 0), n / 7.0, ARRAY['a', NULL, n::text] FROM generate_series(1, ${orders}) n;
  ANALYZE`
}

export function targetSql(): string {
  return `${COMMON}\n${partitions(4)}`
}

function partitions(count: number): string {
  return Array.from({ length: count }, (_, remainder) => {
    return `CREATE TABLE events_${remainder} PARTITION OF events FOR VALUES WITH (MODULUS ${count}, REMAINDER ${remainder});`
  }).join('\n')
}

/** A large body. */
export const BODY = (seed: number) => `repeat(md5('${seed}'), ${70 + (seed % 200)})`
/** A region by number. */
export const REGION = (number: number) => `${REGIONS}[${1 + (number % 4)}]`
