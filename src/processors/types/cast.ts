import * as z from 'zod'
import type { ByteWriter } from '../../core/byteWriter.js'
import type { ChunkRange } from '../../core/record.js'
import { setting } from '../../core/setting.js'
import type { Column, ColumnCodec, Table } from '../../core/table.js'
import { columnIndex, columnOf, presentWith, tableWith, unfit } from '../describe.js'
import type { Plan, Processor } from '../processor.js'
import { type ProcessorPlace, processorType } from '../processorType.js'
import { stateOf, VALUE } from '../rows/rewrite.js'
import type { Tuple } from '../rows/tuple.js'
import { ANY_TABLE, compile, scopeOf } from '../sql/compile.js'
import { type AstNode, parseExpression, type SqlText } from '../sql/grammar.js'
import { ExpressionProblem } from '../sql/problem.js'
import { problemOf } from '../sql/problemOf.js'
import type { Typed } from '../sql/typed.js'
import { formatValue, type SqlType, TYPE_NAMES } from '../sql/types.js'

/** `type: cast`. */
export const castType = processorType({
  settings: {
    columns: setting(z.record(z.string().min(1), z.string().min(1)), {
      description:
        'The columns by their names, with the types that they get, as CAST does it: boolean, smallint, integer, bigint, numeric, real, double precision, text, varchar, char, date, timestamp, timestamptz, uuid, bytea, json, also with (n). Of a key only where no two values become one.',
      example: '{total: text, price: "numeric(10,2)"}',
    }),
  },
  needsGrammar: true,
  problems: ({ columns }) =>
    Object.entries(columns).flatMap(([column, type]) => {
      const [found] = problemOf('columns', () => castOf(column, type))
      return found === undefined ? [] : [{ name: 'columns', problem: `column ${column}: ${found.problem}` }]
    }),
  create: ({ columns }, place) => [new CastProcessor(columns, place)],
})

interface CastTree {
  readonly tree: AstNode
  readonly sql: SqlText
}

/** The tree of a cast of a column, which is one of its own. */
function castOf(column: string, type: string): CastTree {
  const parsed = parseExpression(`"${column.replaceAll('"', '""')}"::${type}`)
  const arg = parsed.tree.TypeCast?.arg as AstNode | undefined
  if (arg?.ColumnRef === undefined) throw new ExpressionProblem(`${JSON.stringify(type)} is no type`, 0)
  compile(parsed.tree, parsed.sql, ANY_TABLE)
  return parsed
}

/** Of a key's columns: no two values of the one are one value of the other. */
const APART: Readonly<Partial<Record<SqlType, readonly SqlType[]>>> = {
  int2: ['int2', 'int4', 'int8', 'numeric', 'text'],
  int4: ['int4', 'int8', 'numeric', 'text'],
  int8: ['int8', 'numeric', 'text'],
  text: ['text'],
  uuid: ['uuid', 'text'],
  date: ['date', 'timestamp', 'timestamptz', 'text'],
  timestamp: ['timestamp', 'timestamptz', 'text'],
  timestamptz: ['timestamp', 'timestamptz', 'text'],
  bool: ['bool', 'text'],
  enum: ['text'],
  bytea: ['bytea', 'text'],
}

class CastProcessor implements Processor {
  readonly #place: ProcessorPlace
  readonly #casts: ReadonlyMap<string, CastTree>

  constructor(columns: Readonly<Record<string, string>>, place: ProcessorPlace) {
    this.#place = place
    this.#casts = new Map(Object.entries(columns).map(([name, type]) => [name, castOf(name, type)]))
  }

  plan(table: Table): Plan {
    const columns: Column[] = [...table.columns]
    const codecs: ColumnCodec[] = [...table.codecs]
    const from = columns.map((_, index) => index)
    const casts: (Typed | undefined)[] = []
    const types = new Map<string, string>()
    for (const [name, { tree, sql }] of this.#casts) {
      const index = columnIndex(this.#place.name, table, name)
      const typed = this.#compile(table, name, tree, sql)
      this.#requireApart(table, index, tree, typed)
      const made = columnOf(typed.type, table.columns[index]!, this.#place.codecs)
      columns[index] = { ...made.column, ...modified(typed.type, tree) }
      codecs[index] = made.codec
      casts[index] = typed
      from[index] = -1
      types.set(name, columns[index]!.typeName)
    }
    const present = presentWith(table, (one) => {
      const typeName = types.get(one.name)
      return typeName === undefined ? one : { ...one, typeName, before: undefined }
    })
    const make = (column: number, row: Tuple, writer: ByteWriter): number => {
      const state = stateOf(row, column)
      if (state !== undefined) return state
      const { type, evaluate } = casts[column]!
      writer.write(Buffer.from(formatValue(type, evaluate(row)!)))
      return VALUE
    }
    return { kind: 'rewrite', rewrite: { table: tableWith(table, { columns, codecs, present }), from, make } }
  }

  /** The text of a bound is of the type before. */
  range(range: ChunkRange): ChunkRange | undefined {
    return range.key.some((name) => this.#casts.has(name)) ? undefined : range
  }

  #compile(table: Table, name: string, tree: AstNode, sql: SqlText): Typed {
    try {
      return compile(tree, sql, scopeOf(table))
    } catch (error) {
      if (!(error instanceof ExpressionProblem)) throw error
      throw unfit(this.#place.name, table, `column "${name}": ${error.problem}`)
    }
  }

  #requireApart(table: Table, index: number, tree: AstNode, { type }: Typed): void {
    if (!table.key.includes(index)) return
    const { name } = table.columns[index]!
    const before = scopeOf(table).column([name], 0).type
    const cut = modifiersOf(tree).length > 0
    if (!cut && APART[before]?.includes(type)) return
    const to = TYPE_NAMES[type]
    throw unfit(this.#place.name, table, `"${name}" belongs to the key, and two keys could become one as ${to}`)
  }
}

function modifiersOf(tree: AstNode): number[] {
  const { typmods = [] } = tree.TypeCast!.typeName as { readonly typmods?: readonly AstNode[] }
  return typmods.map((one) => Number((one.A_Const?.ival as { readonly ival?: number } | undefined)?.ival ?? 0))
}

/** How the server numbers and prints a type with a modifier. */
function modified(type: SqlType, tree: AstNode): Partial<Column> {
  const [first, second = 0] = modifiersOf(tree)
  if (first === undefined) return {}
  if (type === 'numeric')
    return { typmod: ((first << 16) | (second & 0x7ff)) + 4, typeName: `numeric(${first},${second})` }
  if (type === 'bpchar') return { typmod: first + 4, typeName: `character(${first})` }
  if (type === 'text') return { typeOid: 1043, typmod: first + 4, typeName: `character varying(${first})` }
  return { typmod: first, typeName: TYPE_NAMES[type].replace('timestamp', `timestamp(${first})`) }
}
