import { PARTITION_GONE, PARTITION_TRUNCATED, PARTITION_UNNOTICED, PARTITIONS_UNSEEN } from '../core/warnings.js'
import { type Leaf, madeInPlace, partitionDigest, partitionTrees } from '../postgres/catalog/partitionTrees.js'
import { sqlName } from '../postgres/identifier.js'
import type { Lsn } from '../postgres/lsn.js'
import { NOTICES_ATTACHMENTS, renewPublishedPartitions } from '../postgres/publishedPartitions.js'
import type { Queryable } from '../postgres/queryable.js'
import { waitForRunningTransactions } from '../postgres/runningTransactions.js'
import { describeCause, isTransient, sqlstateOf } from '../postgres/serverError.js'
import type { PlannedTable } from './capturePlan.js'
import type { CaptureSet } from './captureSet.js'
import type { Connections } from './connections.js'
import type { SourceEvent } from './events.js'
import type { ParsedOptions } from './options.js'
import {
  horizonsIn,
  type KnownLeaf,
  type KnownTree,
  newAbove,
  recall,
  treeChanges,
  treesMark,
} from './partitionChanges.js'
import { filledLeaves, truncatedLeaves } from './partitionProbe.js'
import { named } from './partitionWarnings.js'
import { scanKeyOf } from './scan/scanKey.js'
import type { Scans } from './scan/scans.js'
import type { TableChanges } from './tableChanges.js'

const LOOK_MS = 5000
const LOCK_NOT_AVAILABLE = '55P03'

export interface PartitionWatchOptions {
  readonly connections: Connections
  readonly options: Pick<ParsedOptions, 'snapshot' | 'onPartitionGone'>
  readonly capture: CaptureSet
  readonly scans: Scans
  /** `partitions` of the position that the run goes on from. */
  readonly mark: string | undefined
  readonly emit: (event: SourceEvent) => void
  readonly signal: AbortSignal
}

export interface Dealing {
  readonly changes: Pick<TableChanges, 'readAgain'>
  readonly serverVersion: number
  /** The stream was read up to here. */
  readonly readTo: () => Lsn
  /** For positions from now on. */
  readonly onMark: (mark: string | undefined) => void
}

/**
 * What happens to partitions of captured tables sends nothing (design section 3, rule 9): looks for it. A partition that
 * is attached with rows is read; of one that is detached, dropped or truncated is told, or its table is read as a repair.
 * What was dealt with stands in the position, so that it is found, too, if no run was there.
 */
export class PartitionWatch {
  readonly #options: PartitionWatchOptions
  readonly #known = new Map<number, KnownTree>()
  /** Truncates of whole tables that the stream brought: they change the files of all leaves. */
  #truncates: { readonly root: number; readonly lsn: Lsn }[] = []
  /** Of each root the leaves that have other files, and up to where the stream is to be read before that is dealt with. */
  readonly #refiled = new Map<number, { readonly files: string; readonly lsn: Lsn }>()
  /** Where partitions were attached, or had been, of which the server has noticed that. */
  readonly #renewed = new Set<string>()
  /** Of the last look, if all that it found was dealt with. */
  #digest: string | undefined
  #horizon: bigint | undefined
  #mark: string | undefined
  #dealing: Dealing | undefined
  #timer: NodeJS.Timeout | undefined
  #looking = false
  #failed = false

  /** To be awaited before any row is read: what is attached from then on is found. */
  static async open(options: PartitionWatchOptions): Promise<PartitionWatch> {
    const watch = new PartitionWatch(options)
    const horizons = horizonsIn(options.mark)
    const questions = partitioned(options.capture.planned).map((root) => ({ root, horizon: horizons.get(root) }))
    const { roots, horizon, next } = await partitionTrees(options.connections.control, questions)
    for (const [root, leaves] of roots) {
      watch.#known.set(root, recall(options.mark, root, leaves) ?? { horizon, next, leaves, lost: false })
    }
    watch.#horizon = horizon
    return watch
  }

  private constructor(options: PartitionWatchOptions) {
    this.#options = options
  }

  begin(dealing: Dealing): void {
    this.#dealing = dealing
    this.#tellMark()
    this.#timer = setInterval(() => void this.#look(), LOOK_MS)
    void this.#look()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#dealing = undefined
  }

  /** The stream brought a truncate of a whole table. */
  truncated(root: number, lsn: Lsn): void {
    if (this.#known.has(root)) this.#truncates.push({ root, lsn })
  }

  async #look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    try {
      await this.#compare()
      if (this.#dealing !== undefined) this.#tellMark()
      this.#failed = false
    } catch (error) {
      this.#tellFailure(error)
    } finally {
      this.#looking = false
    }
  }

  async #compare(): Promise<void> {
    const { control } = this.#options.connections
    const roots = partitioned(this.#options.capture.planned)
    for (const root of this.#known.keys()) if (!roots.includes(root)) this.#known.delete(root)
    const { digest, horizon, next, lsn } = await partitionDigest(control, roots)
    if (digest === this.#digest) {
      for (const [root, tree] of this.#known) this.#known.set(root, { ...tree, horizon, next })
    } else {
      const questions = roots.map((root) => ({ root, horizon: this.#known.get(root)?.horizon ?? this.#horizon }))
      const found = await partitionTrees(control, questions)
      let all = true
      for (const [root, leaves] of found.roots) {
        const { horizon, next, lsn } = found
        // A table that was added since the last look.
        const known = this.#known.get(root) ?? {
          horizon,
          next,
          leaves: leaves.filter(({ isNew }) => !isNew),
          lost: false,
        }
        if (this.#dealing === undefined) return
        if (await this.#deal(root, known, leaves, lsn)) this.#known.set(root, { horizon, next, leaves, lost: false })
        else all = false
      }
      this.#digest = all ? digest : undefined
      if (!all) return
    }
    this.#horizon = horizon
    this.#truncates = this.#truncates.filter((one) => one.lsn > lsn)
  }

  /** False: at a later look. */
  async #deal(root: number, known: KnownTree, leaves: readonly Leaf[], lsn: Lsn): Promise<boolean> {
    const { connections, options, scans, emit } = this.#options
    const { changes, readTo } = this.#dealing!
    const planned = this.#options.capture.planned.find(({ table }) => table.oid === root)
    if (planned === undefined) return false
    const { gone, ...found } = treeChanges(known, leaves)
    const attached = await this.#attached(found.joined, known)
    // Of leaves that were truncated again, one by one, within the same look, nothing is told.
    const explained = this.#truncates.some((one) => one.root === root && one.lsn <= lsn)
    const refiled = explained ? [] : found.refiled
    // Whether the stream brings a truncate of the whole table is known only when it was read so far.
    if (refiled.length > 0 && readTo() < this.#seenAt(root, refiled, lsn)) return false
    await this.#renew(sqlName(planned.table), [...attached, ...gone])
    const filled = await filledLeaves(connections, attached)
    const truncated = await truncatedLeaves(connections, refiled, known.horizon)
    const isLess = gone.length > 0 || known.lost || truncated.length > 0
    const repairs = isLess && options.onPartitionGone === 'resnapshot' && hasKey(planned)
    const reads = filled !== undefined && options.snapshot !== 'never'
    if (repairs || reads) {
      // One scan of a table at a time: what one still has to read is not read twice. Without a key its rows and the
      // changes that it shows must not come twice either.
      const scan = scans.of(root)
      if (scan?.unread || (scan !== undefined && !hasKey(planned))) return false
      if (!(await changes.readAgain(root, repairs ? undefined : filled!.where))) return false
    }
    const table = sqlName(planned.table)
    for (const leaf of filled?.leaves ?? []) {
      emit({ type: 'partition-attached', table, partition: sqlName(leaf), read: repairs || reads })
    }
    const facts = { table, repairs, hasKey: hasKey(planned) }
    if (gone.length > 0 || known.lost) emit(PARTITION_GONE({ ...facts, partitions: named(gone, known.lost) }))
    if (truncated.length > 0) emit(PARTITION_TRUNCATED({ ...facts, partitions: named(truncated) }))
    this.#refiled.delete(root)
    return true
  }

  /** Where the first look was that saw these files: of a server that is busy the stream is never read to where it is now. */
  #seenAt(root: number, refiled: readonly Leaf[], lsn: Lsn): Lsn {
    const files = refiled.map(({ oid, file }) => `${oid} ${file}`).join()
    const seen = this.#refiled.get(root)
    if (seen?.files === files) return seen.lsn
    this.#refiled.set(root, { files, lsn })
    return lsn
  }

  /** Before any row is read: what commits from then on is judged by the tree as it is. */
  async #renew(table: string, leaves: readonly KnownLeaf[]): Promise<void> {
    const { connections, emit, signal } = this.#options
    const { control } = connections
    const { serverVersion } = this.#dealing!
    const moved = leaves.filter(({ line }) => !this.#renewed.has(line.join()))
    if (moved.length === 0) return
    const done = await renewPublishedPartitions(control, serverVersion)
    if (done && serverVersion < NOTICES_ATTACHMENTS) await waitForRunningTransactions(control, { signal })
    for (const { line } of moved) this.#renewed.add(line.join())
    if (!done) emit(PARTITION_UNNOTICED({ table, partitions: named(moved) }))
  }

  /** Those that had a life of their own before. */
  async #attached(joined: readonly Leaf[], known: KnownTree): Promise<readonly Leaf[]> {
    if (joined.length === 0) return []
    const above = new Map(joined.map((leaf) => [leaf, newAbove(leaf, known)]))
    const inPlace = await madeInPlace(this.#options.connections.control, [...new Set([...above.values()].flat())])
    return joined.filter((leaf) => above.get(leaf)!.some((oid) => !inPlace.has(oid)))
  }

  #tellMark(): void {
    const mark = treesMark(this.#known)
    if (mark === this.#mark) return
    this.#mark = mark
    this.#dealing!.onMark(mark)
  }

  /** A lock is waited for again at the next look; and the stream itself tells when the server is gone. */
  #tellFailure(cause: unknown): void {
    if (this.#dealing === undefined || isTransient(cause) || sqlstateOf(cause) === LOCK_NOT_AVAILABLE) return
    if (this.#failed) return
    this.#failed = true
    this.#options.emit(PARTITIONS_UNSEEN({ problem: describeCause(cause) }))
  }
}

/** Of the tables as they are now: for the positions of a run that begins. */
export async function partitionMark(
  queryable: Queryable,
  planned: readonly PlannedTable[],
): Promise<{ readonly partitions?: string }> {
  const questions = partitioned(planned).map((root) => ({ root, horizon: undefined }))
  if (questions.length === 0) return {}
  const { roots, horizon, next } = await partitionTrees(queryable, questions)
  const trees = new Map([...roots].map(([root, leaves]) => [root, { horizon, next, leaves, lost: false }]))
  const partitions = treesMark(trees)
  return partitions === undefined ? {} : { partitions }
}

function partitioned(planned: readonly PlannedTable[]): readonly number[] {
  return planned.filter(({ table }) => table.kind === 'partitioned').map(({ table }) => table.oid)
}

function hasKey(planned: PlannedTable): boolean {
  return scanKeyOf(planned).length > 0
}
