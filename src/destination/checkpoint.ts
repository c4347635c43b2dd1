import { DESTINATION_FENCED, DESTINATION_REWOUND } from '../core/destinationErrors.js'
import type { PositionJson } from '../core/record.js'
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'
import { createDeadLettersSql, type DeadLetterRow } from './deadLetters.js'
import { createLanesSql, LaneRows } from './lanes/laneRows.js'
import { createTableShapesSql } from './tableShapes.js'

/** What the checkpoint's row says. */
interface Row {
  readonly epoch: string
  readonly version: string
}

/** What stands beside it where it is wanted. */
const CREATE_SQL = {
  dead_letter: createDeadLettersSql,
  table_shape: createTableShapesSql,
  lane: createLanesSql,
} as const
type TableName = 'checkpoint' | keyof typeof CREATE_SQL

/** So that two that begin at once do not make the tables both: any number, the same for all. */
const CREATION_LOCK = 7_461_696_972

/** Of a transaction that waits for the client: whoever is cut off, or put to sleep, must not hold the row for ever. */
export const OPEN_FOR_LONG = `SET LOCAL idle_in_transaction_session_timeout = '10s'`

/**
 * The row of one source in the table `checkpoint` of the target, written in each batch's own transaction. `epoch` is raised
 * by each writer that takes the row over, `version` by each batch. A batch locks the row before it writes anything: so
 * it waits for a commit of its own whose answer was lost, sees by the version that it need not be repeated, and by the
 * epoch that another writer has taken over.
 */
export class Checkpoint {
  readonly #schema: string
  readonly #source: string
  readonly #name: string
  readonly #deadLetters: string
  readonly #hasLanes: boolean
  #epoch: string | undefined
  #version = 0n
  #position: PositionJson | undefined
  /** Of what is being committed. */
  #ending: PositionJson | undefined
  /** Of connections that apply beside the one that writes this row. */
  readonly lanes: LaneRows

  /** `lanes`: how many connections apply beside the one that writes this row. */
  constructor(schema: string, source: string, lanes: number) {
    this.lanes = new LaneRows(schema, source, lanes)
    this.#hasLanes = lanes > 0
    this.#schema = schema
    this.#source = source
    this.#name = quoteQualified(schema, 'checkpoint')
    this.#deadLetters = quoteQualified(schema, 'dead_letter')
  }

  /** As it was committed last, as far as is known. */
  get position(): PositionJson | undefined {
    return this.#position
  }

  /** The row's when the next batch is there. */
  get nextVersion(): bigint {
    return this.#version + 1n
  }

  /**
   * Makes the tables where they are missing, takes the row over, and gives its position. `look` sees what stands beside it
   * before anybody else can write there.
   */
  async claim(
    queryable: Queryable,
    beside: readonly ('dead_letter' | 'table_shape')[],
    look: (position: PositionJson | undefined) => Promise<void> = async () => {},
  ): Promise<PositionJson | undefined> {
    await this.#create(queryable, ['checkpoint', ...beside, ...(this.#hasLanes ? (['lane'] as const) : [])])
    await queryable.query('BEGIN ISOLATION LEVEL READ COMMITTED')
    const [row] = await queryable.query<Row & { position: string | null }>(
      `INSERT INTO ${this.#name} AS c (source, epoch, version) VALUES ($1, 1, 0)
       ON CONFLICT (source) DO UPDATE SET epoch = c.epoch + 1
       RETURNING epoch::pg_catalog.text AS epoch, version::pg_catalog.text AS version, position::pg_catalog.text AS position`,
      [this.#source],
    )
    const { epoch, version, position: text } = row!
    const position = text === null ? undefined : (JSON.parse(text) as PositionJson)
    await this.lanes.claim(queryable, BigInt(version), position)
    await look(position)
    await queryable.query('COMMIT')
    this.#epoch = epoch
    this.#version = BigInt(version)
    this.#position = position
    return position
  }

  /** Begins a batch's transaction. False: the batch was committed before, though nobody told us; nothing is open then. */
  async begin(queryable: Queryable): Promise<boolean> {
    const [row] = await queryable.query<Row>(
      `BEGIN ISOLATION LEVEL READ COMMITTED;
       SELECT epoch::pg_catalog.text AS epoch, version::pg_catalog.text AS version
         FROM ${this.#name} WHERE source = ${quoteLiteral(this.#source)} FOR UPDATE`,
    )
    const version = row?.epoch === this.#epoch ? BigInt(row!.version) : undefined
    if (version === this.#version) return true
    await queryable.query('ROLLBACK')
    const names = { source: this.#source, checkpoint: this.#name }
    if (version !== undefined && version < this.#version) {
      throw DESTINATION_REWOUND({ ...names, lost: Number(this.#version - version) })
    }
    if (version !== this.#version + 1n) throw DESTINATION_FENCED(names)
    this.committed()
    return false
  }

  /** Learns what lanes have done of a batch, nothing more of which they will do. False: all of it was committed before. */
  async settle(queryable: Queryable): Promise<boolean> {
    if (!(await this.begin(queryable))) {
      // The batch came to its end, so they had done so, too.
      this.lanes.isUnsettled = false
      return false
    }
    try {
      await this.lanes.claim(queryable, this.#version, this.#position)
      await queryable.query('COMMIT')
    } catch (error) {
      this.lanes.isUnsettled = true
      throw error
    }
    return true
  }

  /** Writes the position and commits; `lazily`: without waiting for the disk. */
  async commit(queryable: Queryable, position: PositionJson, lazily: boolean): Promise<void> {
    await queryable.query(this.ending(position, lazily))
    this.committed()
  }

  /**
   * Begins a batch's transaction that is sent as a whole, with {@link ending} behind it. Fails with a division by zero where
   * {@link begin} would give false or throw: which of these it is, that tells.
   */
  get opening(): string {
    return `BEGIN ISOLATION LEVEL READ COMMITTED; ${this.locking}`
  }

  /** {@link opening} of the batch behind one that is being committed. */
  get openingNext(): string {
    return `BEGIN ISOLATION LEVEL READ COMMITTED; ${OPEN_FOR_LONG}; ${this.#lockingAt(this.#version + 1n)}`
  }

  /** The same within a transaction that has begun: what it wrote before counts only if this is the row's next version. */
  get locking(): string {
    return this.#lockingAt(this.#version)
  }

  #lockingAt(version: bigint): string {
    const isOurs = `source = ${quoteLiteral(this.#source)} AND epoch = ${this.#epoch} AND version = ${version}`
    return `SELECT 1 / pg_catalog.count(*) FROM (SELECT FROM ${this.#name} WHERE ${isOurs} FOR UPDATE) AS ours`
  }

  ending(position: PositionJson, lazily: boolean): string {
    return `${this.storing(position)};
            ${this.committing(lazily)}`
  }

  /** What was sent as a whole is committed. */
  committed(): void {
    this.#version++
    this.#position = this.#ending
  }

  /** Commits something that waits for the disk, and so makes durable all that was committed before. */
  async flush(queryable: Queryable): Promise<void> {
    if (!(await this.begin(queryable))) return
    await queryable.query(
      `UPDATE ${this.#name} SET written_at = pg_catalog.now() WHERE source = ${quoteLiteral(this.#source)};
       COMMIT`,
    )
  }

  /** The first half of {@link ending}. */
  storing(position: PositionJson): string {
    this.#ending = position
    return `UPDATE ${this.#name} SET position = ${quoteLiteral(JSON.stringify(position))}, version = version + 1,
              written_at = pg_catalog.now() WHERE source = ${quoteLiteral(this.#source)}${this.lanes.keeping(this.nextVersion, position)}`
  }

  /** The second. */
  committing(lazily: boolean): string {
    return `${lazily ? 'SET LOCAL synchronous_commit = off; ' : ''}COMMIT`
  }

  /** Puts a row aside, in the batch's transaction. */
  async addDeadLetter(queryable: Queryable, letter: DeadLetterRow): Promise<void> {
    await queryable.query(
      `INSERT INTO ${this.#deadLetters} (source, id, target, sqlstate, problem, record) VALUES ($1, $2, $3, $4, $5, $6)`,
      [this.#source, letter.id, letter.target, letter.sqlstate ?? null, letter.problem, letter.record],
    )
  }

  async #create(queryable: Queryable, wanted: readonly TableName[]): Promise<void> {
    const there = await queryable.query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = ANY ($2::pg_catalog.text[])`,
      [this.#schema, wanted],
    )
    if (there.length === wanted.length) return
    const schemas = await queryable.query('SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1', [this.#schema])
    const statements = [
      'BEGIN',
      `SELECT pg_catalog.pg_advisory_xact_lock(${CREATION_LOCK})`,
      // Even IF NOT EXISTS wants the right to create it.
      ...(schemas.length === 0 ? [`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(this.#schema)}`] : []),
      `CREATE TABLE IF NOT EXISTS ${this.#name} (
         source text PRIMARY KEY,
         epoch bigint NOT NULL,
         version bigint NOT NULL,
         position json,
         written_at timestamptz
       )`,
    ]
    for (const [name, create] of Object.entries(CREATE_SQL)) {
      if (wanted.includes(name as TableName)) statements.push(create(quoteQualified(this.#schema, name)))
    }
    try {
      await queryable.query([...statements, 'COMMIT'].join(';\n'))
    } catch (error) {
      await queryable.query('ROLLBACK')
      throw error
    }
  }
}
