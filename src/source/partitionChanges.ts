import { createHash } from 'node:crypto'
import type { Leaf } from '../postgres/catalog/partitionTrees.js'

/** The leaves of a partitioned table as they were when all that happened to them was dealt with. */
export interface KnownTree {
  /** Whatever has a lower xid had ended by then. */
  readonly horizon: bigint
  /** Whatever was visible then has a lower xid. */
  readonly next: bigint
  readonly leaves: readonly KnownLeaf[]
  /** Others went meanwhile, nobody knows which. */
  readonly lost: boolean
}

/** `file` undefined: it had another one. */
export type KnownLeaf = Pick<Leaf, 'oid' | 'schema' | 'name' | 'line'> & { readonly file: string | undefined }

export interface TreeChanges {
  /** Hang in the tree, or hang in it otherwise than before. */
  readonly joined: readonly Leaf[]
  /** Do not hang in it any more, or otherwise. */
  readonly gone: readonly KnownLeaf[]
  /** Have another file: truncated, or written anew. */
  readonly refiled: readonly Leaf[]
}

export function treeChanges({ leaves }: KnownTree, found: readonly Leaf[]): TreeChanges {
  const before = new Map(leaves.map((leaf) => [leaf.oid, leaf]))
  const now = new Map(found.map((leaf) => [leaf.oid, leaf]))
  const hangsSo = (a: KnownLeaf | undefined, b: KnownLeaf | undefined) =>
    a !== undefined && b !== undefined && a.line.join() === b.line.join()
  return {
    joined: found.filter((leaf) => !hangsSo(before.get(leaf.oid), leaf)),
    gone: leaves.filter((leaf) => !hangsSo(now.get(leaf.oid), leaf)),
    refiled: found.filter((leaf) => {
      const known = before.get(leaf.oid)
      return hangsSo(known, leaf) && known!.file !== leaf.file
    }),
  }
}

/** Those tables, from the leaf up, whose attachment is new: all must have been made in place for the leaf to be empty. */
export function newAbove(leaf: Leaf, { leaves }: KnownTree): readonly number[] {
  const known = new Set(leaves.flatMap(({ line }) => line))
  return leaf.line.filter((edge) => !known.has(edge)).map((edge) => Number(edge.split(':')[1]))
}

/**
 * What a position keeps of the trees: of each table `root:horizon:line digest:file digest`. Short, since every position
 * has it; with the horizon it is enough to tell afterwards which partitions are new.
 */
export function treesMark(known: ReadonlyMap<number, KnownTree>): string | undefined {
  if (known.size === 0) return undefined
  return [...known]
    .map(([root, tree]) => {
      // Whoever reads it can tell those only from what is new by then that are older than the horizon.
      const leaves = tree.leaves.filter(({ line }) => line.every((edge) => isSettled(edge, tree)))
      return [root, tree.horizon, tree.lost ? '' : linesDigest(leaves), filesDigest(leaves)].join(':')
    })
    .join(',')
}

/** Attached by a transaction that is older than the horizon, or wrapped around since. */
function isSettled(edge: string, { horizon, next }: KnownTree): boolean {
  const xid = BigInt(edge.split(':')[2]!)
  return BigInt.asUintN(32, xid - horizon) >= next - horizon
}

/** Horizons of the tables in a mark. */
export function horizonsIn(mark: string | undefined): ReadonlyMap<number, bigint> {
  return new Map(partsOf(mark).map(([root, horizon]) => [Number(root), BigInt(horizon!)]))
}

/** The tree of a table when the mark was made, as far as it can be told from how it is now (since the mark's horizon). */
export function recall(mark: string | undefined, root: number, found: readonly Leaf[]): KnownTree | undefined {
  const part = partsOf(mark).find(([one]) => Number(one) === root)
  if (part === undefined) return undefined
  const [, horizon, lines, files] = part
  const leaves = found.filter(({ isNew }) => !isNew)
  const lost = linesDigest(leaves) !== lines
  // Where leaves are missing their files cannot be compared.
  const refiled = !lost && filesDigest(leaves) !== files
  const known = leaves.map((leaf) => (refiled && leaf.touched ? { ...leaf, file: undefined } : leaf))
  return { horizon: BigInt(horizon!), next: BigInt(horizon!), leaves: known, lost }
}

function partsOf(mark: string | undefined): string[][] {
  return (mark ?? '')
    .split(',')
    .map((part) => part.split(':'))
    .filter((parts) => parts.length === 4 && parts.slice(0, 2).every((part) => /^\d+$/.test(part)))
}

function linesDigest(leaves: readonly KnownLeaf[]): string {
  return short(leaves.map(({ oid, line }) => `${oid} ${line.join(' ')}`))
}

function filesDigest(leaves: readonly KnownLeaf[]): string {
  return short(leaves.map(({ oid, file }) => `${oid} ${file}`))
}

function short(texts: readonly string[]): string {
  return createHash('sha256')
    .update([...texts].sort().join())
    .digest('base64url')
    .slice(0, 8)
}
