import { HEAD, HEAD_BUFFER, HEAD_NEW, type RowBatch } from '../core/rowBatch.js'
import { UNCHANGED_COLUMN } from '../core/tape.js'
import { quoteLiteral } from '../postgres/identifier.js'
import type { ApplySql } from './applySql.js'
import type { Effect, Fold, Value } from './fold.js'
import type { Append, Step } from './steps.js'
import { byReferences, type Target } from './target.js'

/** Up to here the statements of a batch with its values in them cost less than staging tables: see docs/performance.md. */
const MOST_RECORDS = 256
const MOST_BYTES = 64 * 1024
/** What bytes that are no UTF-8 would become in a text. No server sends any to us; COPY would hand them on as they are. */
const REPLACED = '\ufffd'

/** A batch that may be worth no staging tables. */
export function isSmall({ count, bytes }: RowBatch): boolean {
  return count <= MOST_RECORDS && bytes <= MOST_BYTES
}

/**
 * The statements that apply steps of a small batch, in the order in which staging tables would be applied; undefined where
 * those are needed: for rows that move with values which only the target has, and targets that ON CONFLICT cannot do.
 * What these statements find wrong is told by any error: the batch is then written over staging tables.
 */
export function directStatements(
  batch: RowBatch,
  steps: readonly Step[],
  sqlOf: (target: Target) => ApplySql,
): readonly string[] | undefined {
  const statements: string[] = []
  for (const step of steps) {
    if ('truncated' in step) return undefined
    if (step.appends.some(({ target }) => target.mode.kind === 'history')) return undefined
    if (step.folds.some(({ target }) => target.replaces || !target.hasArbiter)) return undefined
    const ordered = <One extends { readonly target: Target }>(list: readonly One[]) =>
      byReferences(list.map((one) => ({ ...one, facts: one.target.facts })))
    for (const append of ordered(step.appends)) {
      statements.push(sqlOf(append.target).insertValues(appended(batch, append), false))
    }
    const deletes: string[] = []
    const updates: string[] = []
    const inserts: string[] = []
    for (const { target, fold } of ordered(step.folds)) {
      const sql = sqlOf(target)
      const gone: string[][] = []
      const rows: string[] = []
      for (const effect of fold.effects.values()) {
        if (effect.isGone) gone.push(keyOf(fold, effect))
        else if (effect.missing.length === 0) rows.push(`(${[...valuesOf(fold, effect).values()].join(', ')})`)
        else if (effect.base.id !== effect.id || !target.byBytes) return undefined
        else updates.push(sql.updateValues(keyOf(fold, effect), valuesOf(fold, effect)))
      }
      if (gone.length > 0) deletes.unshift(sql.deleteValues(gone))
      if (rows.length > 0) inserts.push(sql.insertValues(rows, true))
    }
    statements.push(...deletes, ...updates, ...inserts)
  }
  return statements.some((one) => one.includes(REPLACED)) ? undefined : statements
}

function keyOf(fold: Fold, effect: Effect): string[] {
  return fold.shape.key.map((column) => constant(fold.keyOf(effect, column)))
}

/** By index among the target's columns; those that only the target has are left out. */
function valuesOf(fold: Fold, effect: Effect): Map<number, string> {
  const values = new Map<number, string>()
  for (const [index, column] of fold.shape.written.entries()) {
    const value = fold.valueOf(effect, column)
    if (value !== undefined) values.set(index, constant(value))
  }
  return values
}

function appended({ heads, buffers, tape }: RowBatch, { target, records }: Append): string[] {
  return records.map((record) => {
    const bytes = buffers[heads[record * HEAD + HEAD_BUFFER]!]!
    const at = heads[record * HEAD + HEAD_NEW]!
    const values = target.written.map((column) => {
      const pair = at + 2 * column
      return constant({ bytes, start: tape.values[pair]!, end: tape.values[pair + 1]! })
    })
    return `(${values.join(', ')})`
  })
}

/** Of no type yet: its column's input function reads it, as it does what comes by COPY. */
function constant({ bytes, start, end }: Omit<Value, 'view'>): string {
  // No such row may be new: staging tells of it.
  if (start === UNCHANGED_COLUMN) return REPLACED
  if (start < 0) return 'NULL'
  return quoteLiteral(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString())
}
