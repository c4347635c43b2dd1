import { TARGET_IS_SOURCE, TARGET_TABLE_RESERVED } from '../core/destinationErrors.js'
import type { Position, PositionJson } from '../core/record.js'
import { type QualifiedName, sqlName } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'

/** What stands in the checkpoint's schema. */
const RESERVED = new Set(['checkpoint', 'dead_letter', 'table_shape', 'pending_key', 'lane'])

/**
 * Keeps a destination from writing over its own checkpoint, and into what it is read from: where target and source are one
 * database each row that is written would come again as a change, for ever, and with values that others have changed since.
 */
export class OwnTables {
  readonly #checkpointSchema: string
  readonly #written = new Set<string>()
  #position: PositionJson | undefined
  #isSource: Promise<boolean> | undefined

  constructor(checkpointSchema: string) {
    this.#checkpointSchema = checkpointSchema
  }

  /** Where the batches come from. */
  follow(position: Position): void {
    this.#position ??= position.toJSON()
  }

  /** Rows of `table` are to be written into `target`: throws if they must not be. */
  async check(queryable: Queryable, table: QualifiedName, target: QualifiedName): Promise<void> {
    const [to, from] = [sqlName(target), sqlName(table)]
    if (target.schema === this.#checkpointSchema && RESERVED.has(target.name)) {
      throw TARGET_TABLE_RESERVED({ table: to, source: from })
    }
    this.#written.add(to)
    if (!this.#written.has(from)) return
    this.#isSource ??= isSource(queryable, this.#position)
    const isSame = await this.#isSource.catch((error) => {
      this.#isSource = undefined
      throw error
    })
    if (isSame) throw TARGET_IS_SOURCE({ table: to, source: from })
  }
}

/**
 * Whether the slot that is read is one of this very database. Clones of a server have its identifier, and their databases the
 * same names, but not its slots.
 */
async function isSource(queryable: Queryable, position: PositionJson | undefined): Promise<boolean> {
  const { system, database, slot }: Partial<PositionJson> = position ?? {}
  if (typeof system !== 'string' || typeof database !== 'string' || typeof slot !== 'string') return false
  const found = await queryable.query(
    `SELECT FROM pg_catalog.pg_replication_slots s
      WHERE s.slot_name = $1 AND s.database = $2 AND s.database = pg_catalog.current_database()`,
    [slot, database],
  )
  if (found.length === 0) return false
  // Asked only then: it may be a right that a role at the target has not.
  const [row] = await queryable.query<{ system: string }>(
    'SELECT system_identifier::pg_catalog.text AS system FROM pg_catalog.pg_control_system()',
  )
  return row!.system === system
}
