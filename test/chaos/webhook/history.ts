import type pg from 'pg'
import { sourceSql, TABLES } from '../airbyte/workload.js'

/** What happened to one key: the version of a row, or that it was deleted or left for another key. */
export interface Happened {
  readonly n: number
  /** Undefined: the key has no row any more. */
  readonly version: number | undefined
}

const KEYED = Object.entries(TABLES).filter(([, key]) => key.length > 0)

/** The tables of the Airbyte chaos, and a table beside them in which triggers write what becomes of each key, in its order. */
export function historySql(rows: number, owners: number): string {
  const triggers = KEYED.map(
    ([table, key]) => `CREATE TRIGGER happened AFTER INSERT OR UPDATE OR DELETE ON ${table}
      FOR EACH ROW EXECUTE FUNCTION happened('${table}', ${key.map((column) => `'${column}'`).join(', ')});`,
  )
  return `${sourceSql(rows, owners)};
  CREATE TABLE history (n bigserial PRIMARY KEY, name text, key text, version int8);
  CREATE FUNCTION happened() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE before text; after text; tail text[] := TG_ARGV[1:];
    BEGIN
      IF TG_OP <> 'INSERT' THEN before := (SELECT string_agg(to_jsonb(OLD)->>c, ',') FROM unnest(tail) AS c); END IF;
      IF TG_OP <> 'DELETE' THEN after := (SELECT string_agg(to_jsonb(NEW)->>c, ',') FROM unnest(tail) AS c); END IF;
      IF before IS DISTINCT FROM after AND before IS NOT NULL THEN
        INSERT INTO history (name, key) VALUES (TG_ARGV[0], before);
      END IF;
      IF after IS NOT NULL THEN
        INSERT INTO history (name, key, version) VALUES (TG_ARGV[0], after, (to_jsonb(NEW)->>'version')::int8);
      END IF;
      RETURN NULL;
    END $$;
  ${triggers.join('\n')}
  ${KEYED.map(([table, key]) => `INSERT INTO history (name, key, version) SELECT '${table}', concat_ws(',', ${key.join(', ')}), version FROM ${table};`).join('\n')}
  ANALYZE`
}

/** By `table key`, in order. */
export async function readHistory(client: pg.Client): Promise<Map<string, Happened[]>> {
  const history = new Map<string, Happened[]>()
  const { rows } = await client.query<{ n: string; of: string; version: string | null }>(
    `SELECT n, name || ' ' || key AS of, version FROM history ORDER BY n`,
  )
  for (const { n, of, version } of rows) {
    const happened = { n: Number(n), version: version === null ? undefined : Number(version) }
    const known = history.get(of)
    if (known === undefined) history.set(of, [happened])
    else known.push(happened)
  }
  return history
}

export async function lastHappened(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ n: string }>('SELECT coalesce(max(n), 0) AS n FROM history')
  return Number(rows[0]!.n)
}
