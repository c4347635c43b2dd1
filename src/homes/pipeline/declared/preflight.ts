import { SLOT_OF_BLINK, STREAM_SCHEMA_MISMATCH } from '../../../core/pipelineErrors.js'
import { findTables } from '../../../postgres/catalog/tables.js'
import { TypeCatalog } from '../../../postgres/catalog/types.js'
import { parseConnectionString } from '../../../postgres/connectionString.js'
import { Session } from '../../../postgres/session.js'
import { parseTablePatterns } from '../../../postgres/tablePattern.js'
import type { SourceOptions } from '../../../source/options.js'
import type { Preflight } from '../config/pipelineConfig.js'
import { checkDeclared } from './checkDeclared.js'
import type { DeclaredStream } from './declaredStream.js'

const PGOUTPUT = 'pgoutput'

export interface Declared {
  readonly streams: readonly DeclaredStream[]
  readonly lenient: boolean
  /** A slot that may be of another program, which would go on holding WAL beside ours; undefined: none. */
  readonly forsaken: string | undefined
}

/** Compares what a file declares with the database: makes nothing there, and takes no lock. */
export function preflightOf(source: SourceOptions, { streams, lenient, forsaken }: Declared): Preflight {
  return async (signal) => {
    await using session = await Session.connect(parseConnectionString(source.url), { signal })
    const warnings: string[] = []
    for (const { name, plugin } of await foreignSlots(session, [source.slot, forsaken])) {
      if (name === source.slot) throw SLOT_OF_BLINK({ slot: name, plugin })
      const sql = `SELECT pg_drop_replication_slot('${name}')`
      warnings.push(
        `the replication slot "${name}" (${plugin}) is left as it is, and holds WAL until it is dropped: ${sql}`,
      )
    }
    const tables = await findTables(session, parseTablePatterns(source.tables as string | readonly string[]))
    const types = new TypeCatalog(session)
    await types.load(tables.flatMap(({ columns }) => columns.map(({ typeOid }) => typeOid)))
    const found = checkDeclared(streams, tables, (oid) => types.get(oid), lenient)
    if (found.problems.length > 0) throw STREAM_SCHEMA_MISMATCH({ problems: found.problems })
    return { source: { ...source, keys: found.keys }, warnings: [...warnings, ...found.warnings] }
  }
}

/** Those of these slots of this database that another output plugin writes. */
function foreignSlots(session: Session, names: readonly (string | undefined)[]) {
  return session.query<{ name: string; plugin: string }>(
    `SELECT slot_name AS name, plugin FROM pg_catalog.pg_replication_slots
      WHERE slot_name = ANY ($1::text[]) AND plugin <> $2 AND database = pg_catalog.current_database()`,
    [names.filter((name) => name !== undefined), PGOUTPUT],
  )
}
