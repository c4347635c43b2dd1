import type { TextTarget } from '../../text/target.js'
import type { Cursor } from './cursor.js'
import type { SchemaNode } from './schema.js'

/** Takes the texts of a row's columns, one after the other. */
export interface TextSink {
  /** NULL. */
  none(): void
  text(text: string): void
  /** Text at `source[start..end)`; whether it is UTF-8 nobody has looked. */
  bytes(source: Buffer, start: number, end: number): void
  integer(value: number | bigint): void
}

/** Gives the sink what is read next. */
export type WriteText = (cursor: Cursor, sink: TextSink) => void

/** What `read` reads of a `node`, for a column of that kind; what is text in the bytes, and integers, without a string. */
export function textWriter(
  node: SchemaNode,
  kind: TextTarget['kind'],
  read: (cursor: Cursor) => string | null,
): WriteText {
  const quick = quickWriter(node, kind)
  if (quick !== undefined) return quick
  if (node.kind === 'union' && node.branches.length === 2) {
    const isNull = node.branches.findIndex((branch) => branch.kind === 'primitive' && branch.type === 'null')
    const value = quickWriter(node.branches[1 - isNull]!, kind)
    if (isNull >= 0 && value !== undefined) return optional(isNull, value)
  }
  return (cursor, sink) => {
    const text = read(cursor)
    if (text === null) sink.none()
    else sink.text(text)
  }
}

function quickWriter(node: SchemaNode | undefined, kind: TextTarget['kind']): WriteText | undefined {
  if (node?.kind !== 'primitive') return undefined
  switch (node.type) {
    case 'int':
    case 'long':
      return (cursor, sink) => sink.integer(cursor.long())
    case 'bytes':
      return kind === 'bytea' ? undefined : copy
    case 'string':
      return copy
    default:
      return undefined
  }
}

function optional(isNull: number, value: WriteText): WriteText {
  return (cursor, sink) => {
    const index = cursor.count("a union's branch")
    if (index === isNull) sink.none()
    else if (index < 2) value(cursor, sink)
    else throw cursor.malformed(`it is of branch ${index} of a union of 2`)
  }
}

function copy(cursor: Cursor, sink: TextSink): void {
  const length = cursor.count('a length')
  const start = cursor.skip(length)
  sink.bytes(cursor.source, start, start + length)
}
