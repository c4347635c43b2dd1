import type { PositionJson } from '../../core/record.js'
import { quoteLiteral, quoteQualified } from '../../postgres/identifier.js'
import type { Queryable } from '../../postgres/queryable.js'
import { StreamPosition } from '../../source/position.js'
import { isBefore, type LaneMark } from './applied.js'
import { MAIN, type Routing } from './routing.js'

/**
 * A lane waits for nobody: who holds what it needs may in the end wait for the main transaction, which waits for the lane, here,
 * where no server sees it.
 */
const LOCK_TIMEOUT = '2s'

interface Row {
  readonly lane: number
  readonly epoch: string
  readonly version: string
  readonly position: string | null
  readonly routing: string | null
}

/** What a lane writes with its part of a batch. */
export interface LaneStore {
  /** The checkpoint's, when the batch is there. */
  readonly version: bigint
  readonly position: PositionJson
  readonly routing: Routing
  readonly lazily: boolean
}

/**
 * The rows of one source in the table `lane`: one for each connection that applies beside the main one, written in the
 * transaction that has its part of a batch. A row whose version is the one behind the checkpoint's says that this part is there
 * and the batch as a whole is not; any other version says nothing. `epoch` is raised by whoever has to know for certain: what
 * was sent before and has not been committed then never will be.
 */
export class LaneRows {
  readonly #schema: string
  readonly #name: string
  readonly #source: string
  /** How many lanes there are beside the main one. */
  readonly #count: number
  readonly #epochs = new Map<number, string>()
  #marks: readonly LaneMark[] = []

  constructor(schema: string, source: string, count: number) {
    this.#schema = schema
    this.#name = quoteQualified(schema, 'lane')
    this.#source = source
    this.#count = count
  }

  /** What is there beyond the checkpoint. */
  get marks(): readonly LaneMark[] {
    return this.#marks
  }

  /** None of what they tell comes any more. */
  forget(): void {
    this.#marks = []
  }

  /** Something was sent to lanes, and what became of it is not known. */
  isUnsettled = false

  /**
   * In a transaction that holds the checkpoint's row, which is at `version`: waits for what lanes are at, sees to it that nothing else
   * of theirs is committed, and learns how far they are. Without a checkpoint what they say is of another life.
   */
  async claim(queryable: Queryable, version: bigint, checkpoint: PositionJson | undefined): Promise<void> {
    this.#epochs.clear()
    this.#marks = []
    this.isUnsettled = false
    if (this.#count === 0 && !(await this.#exists(queryable))) return
    const next = checkpoint === undefined ? -1n : version + 1n
    await queryable.query(
      `INSERT INTO ${this.#name} (source, lane, epoch, version)
         SELECT $1, n, 0, 0 FROM pg_catalog.generate_series(1, ${this.#count}) AS n ON CONFLICT DO NOTHING`,
      [this.#source],
    )
    const rows = await queryable.query<Row>(
      `UPDATE ${this.#name} AS l
          SET epoch = l.epoch + 1, version = CASE WHEN l.version = ${next} THEN l.version ELSE 0 END
        WHERE l.source = $1
       RETURNING l.lane, l.epoch::pg_catalog.text AS epoch, l.version::pg_catalog.text AS version,
                 l.position::pg_catalog.text AS position, l.routing::pg_catalog.text AS routing`,
      [this.#source],
    )
    for (const { lane, epoch } of rows) this.#epochs.set(lane, epoch)
    this.#marks = rows
      .filter((row) => BigInt(row.version) === next && row.position !== null && row.routing !== null)
      .map(({ lane, position, routing }) => {
        return { lane, position: StreamPosition.parse(position), routing: JSON.parse(routing!) as Routing }
      })
  }

  /** Begins a lane's transaction, sent as a whole with {@link ending}: fails with a division by zero where it does not count. */
  opening(lane: number): string {
    return `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '${LOCK_TIMEOUT}';
            SELECT 1 / pg_catalog.count(*) FROM (
              SELECT FROM ${this.#name} WHERE ${this.#is(lane)} AND epoch = ${this.#epochs.get(lane) ?? '0'} FOR UPDATE
            ) AS ours`
  }

  ending(lane: number, { version, position, routing, lazily }: LaneStore): string {
    return `UPDATE ${this.#name} SET version = ${version}, position = ${quoteLiteral(JSON.stringify(position))},
              routing = ${quoteLiteral(JSON.stringify(routing))} WHERE ${this.#is(lane)};
            ${lazily ? 'SET LOCAL synchronous_commit = off; ' : ''}COMMIT`
  }

  /**
   * What the transaction that brings the checkpoint to `version` and `position` writes besides: what lanes have beyond that still
   * counts then.
   */
  keeping(version: bigint, position: PositionJson): string {
    if (this.#marks.length === 0) return ''
    const at = StreamPosition.parse(position)
    const ahead = this.#marks.filter((mark) => isBefore(at, mark)).map(({ lane }) => lane)
    if (ahead.length === 0) return ''
    return `; UPDATE ${this.#name} SET version = ${version + 1n}
              WHERE source = ${quoteLiteral(this.#source)} AND lane IN (${ahead.join(', ')})`
  }

  #is(lane: number): string {
    if (lane === MAIN) throw new Error('the main lane has the checkpoint')
    return `source = ${quoteLiteral(this.#source)} AND lane = ${lane}`
  }

  /** Another writer may have made it. */
  async #exists(queryable: Queryable): Promise<boolean> {
    const rows = await queryable.query(
      `SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = 'lane'`,
      [this.#schema],
    )
    return rows.length > 0
  }
}

/** Makes the table `name` (in SQL's form) where it is missing. */
export function createLanesSql(name: string): string {
  return `CREATE TABLE IF NOT EXISTS ${name} (
            source text NOT NULL,
            lane int NOT NULL,
            epoch bigint NOT NULL,
            version bigint NOT NULL,
            position json,
            routing json,
            PRIMARY KEY (source, lane)
          )`
}
