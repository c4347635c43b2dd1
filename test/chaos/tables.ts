/** A captured table of the workload. */
export interface ChaosTable {
  /** As in the records. */
  readonly schema: string
  readonly name: string
  /** Columns of its key, quoted; none: a table without key whose equal rows cannot be told apart. */
  readonly key: readonly string[]
  /** Each update counts its row's `version` up by one, so that a lost one shows. */
  readonly versioned: boolean
  /** Updates and deletes tell the whole row before (REPLICA IDENTITY FULL). */
  readonly wholeOldRows?: boolean
}

export const chaosTables: readonly ChaosTable[] = [
  { schema: 'public', name: 'items', key: ['id'], versioned: true },
  { schema: 'Odd.Schema', name: 'places', key: ['country', '"City"'], versioned: true },
  { schema: 'public', name: 'documents', key: ['id'], versioned: true },
  { schema: 'public', name: 'notes', key: ['id'], versioned: true, wholeOldRows: true },
  { schema: 'public', name: 'readings', key: [], versioned: false },
  // Without replica identity: only its inserts and truncates are captured.
  { schema: 'public', name: 'visits', key: [], versioned: false },
  { schema: 'public', name: 'orders', key: ['region', 'id'], versioned: true },
  // Keys whose order only the server knows, and keys that come in no order.
  { schema: 'public', name: 'labels', key: ['label'], versioned: true },
  { schema: 'public', name: 'sessions', key: ['id'], versioned: true },
  { schema: 'public', name: 'journal', key: ['id'], versioned: false },
]

/** Those that may be taken out of `--tables`, and come back. */
export const optionalTables = ['public.labels', 'public.sessions', 'public.notes'] as const

/** `--tables` for all of them but those `without`. */
export function tablesOption(without: ReadonlySet<string> = new Set()): string {
  return chaosTables
    .filter((table) => !without.has(nameOf(table)))
    .map((table) => optionName(nameOf(table)))
    .join(',')
}

/** `schema.name` as options want it. */
export function optionName(name: string): string {
  return `"${name.slice(0, name.lastIndexOf('.'))}"${name.slice(name.lastIndexOf('.'))}`
}

/** The tables with their first rows: `rows` of items, fewer of the others. */
export function chaosTablesSql(rows: number): string {
  return `
    CREATE TABLE items (
      id bigserial PRIMARY KEY, version int NOT NULL DEFAULT 0, name text NOT NULL, amount numeric,
      changed timestamptz NOT NULL DEFAULT clock_timestamp(), attributes jsonb, tags text[], ratio float8);
    INSERT INTO items (name, amount, attributes, tags, ratio)
      SELECT 'item ' || i, i / 7.0, jsonb_build_object('size', i, 'deep', jsonb_build_array(i, NULL, 'x"y')),
             ARRAY['a', 'b c', NULL, i::text], i / 3.0::float8
        FROM generate_series(1, ${rows}) i;

    CREATE SCHEMA "Odd.Schema";
    CREATE TABLE "Odd.Schema".places (
      country text, "City" text, version int NOT NULL DEFAULT 0, population int8, PRIMARY KEY (country, "City"));
    INSERT INTO "Odd.Schema".places SELECT 'land "' || i % 10, E'city\\n,\\\\' || i, 0, i FROM generate_series(1, ${rows / 50}) i;

    CREATE TABLE documents (id serial PRIMARY KEY, version int NOT NULL DEFAULT 0, title text, body text, scan bytea);
    ALTER TABLE documents ALTER body SET STORAGE EXTERNAL, ALTER scan SET STORAGE EXTERNAL;
    INSERT INTO documents (title, body, scan)
      SELECT 'document ' || i, repeat(md5(i::text) || E' "\\t\\n', 60), decode(repeat(md5(i::text), 40), 'hex')
        FROM generate_series(1, ${rows / 40}) i;

    CREATE TABLE notes (id serial PRIMARY KEY, version int NOT NULL DEFAULT 0, title text, body text);
    ALTER TABLE notes REPLICA IDENTITY FULL;
    ALTER TABLE notes ALTER body SET STORAGE EXTERNAL;
    INSERT INTO notes (title, body)
      SELECT 'note ' || i, repeat(md5(i::text), 120) FROM generate_series(1, ${rows / 200}) i;

    CREATE TABLE visits (visitor int, page text);
    INSERT INTO visits SELECT i % 100, 'page ' || i % 30 FROM generate_series(1, ${rows / 20}) i;

    CREATE TABLE readings (sensor int, value float8, label text);
    ALTER TABLE readings REPLICA IDENTITY FULL;
    INSERT INTO readings SELECT i % 50, i % 20, 'reading' FROM generate_series(1, ${rows / 5}) i;

    CREATE TABLE orders (
      region text, id bigserial, version int NOT NULL DEFAULT 0, total numeric(12, 2), PRIMARY KEY (region, id))
      PARTITION BY LIST (region);
    CREATE TABLE orders_north PARTITION OF orders FOR VALUES IN ('north');
    CREATE TABLE orders_south PARTITION OF orders FOR VALUES IN ('south');
    CREATE TABLE orders_rest PARTITION OF orders DEFAULT;
    INSERT INTO orders (region, total)
      SELECT (ARRAY['north', 'south', 'east'])[1 + i % 3], i FROM generate_series(1, ${rows / 5}) i;

    CREATE TABLE labels (label text COLLATE "en-x-icu" PRIMARY KEY, version int NOT NULL DEFAULT 0, uses int);
    INSERT INTO labels
      SELECT (ARRAY['a', 'B', 'ä', '_', 'z', 'Å', '-b'])[1 + i % 7] || i, 0, i FROM generate_series(1, ${rows / 4}) i;

    CREATE TABLE sessions (id uuid PRIMARY KEY, version int NOT NULL DEFAULT 0, agent text);
    INSERT INTO sessions SELECT md5(i::text)::uuid, 0, 'agent ' || i % 9 FROM generate_series(1, ${rows / 4}) i;

    CREATE TABLE journal (id bigserial PRIMARY KEY, writer int NOT NULL, kind text NOT NULL, announced bool NOT NULL);
    ANALYZE`
}

export function nameOf({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${schema}.${name}`
}
