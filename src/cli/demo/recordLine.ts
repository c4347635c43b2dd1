import type { ChangeRecord, RowView } from '../../core/record.js'
import type { Column, Table } from '../../core/table.js'
import type { Piece, Style } from './terminal.js'

const STYLES: Readonly<Record<ChangeRecord['operation'], Style>> = {
  snapshot: 'blue',
  create: 'green',
  update: 'yellow',
  delete: 'red',
  truncate: 'red',
  schema: 'magenta',
  message: 'cyan',
}

/** A record as `operation  table  key  what happened`; `shape` is the table's shape before a `schema` record. */
export function recordLine(record: ChangeRecord, shape: Table | undefined): readonly Piece[] {
  const { operation, table } = record
  const name = table === undefined ? '' : table.schema === 'public' ? table.name : `${table.schema}.${table.name}`
  return [
    { text: operation.padEnd(9), style: STYLES[operation] },
    { text: name.padEnd(12), style: 'bold' },
    { text: `${'key' in record ? keyText(record.key) : ''} `.padEnd(15) },
    ...joined(details(record, shape)),
  ]
}

/** What happened, as phrases. */
function details(record: ChangeRecord, shape: Table | undefined): readonly (readonly Piece[])[] {
  switch (record.operation) {
    case 'snapshot':
    case 'create':
      return values(record.table, record.after)
    case 'update': {
      const { table, before, after, oldKey, unchanged } = record
      const was = oldKey === undefined ? [] : [[dim('key was '), { text: keyText(oldKey) }]]
      const rest = unchanged.length === 0 ? [] : [[dim(`not sent: ${unchanged.join(', ')}`)]]
      return [...was, ...(before === undefined ? values(table, after) : changes(table, before, after)), ...rest]
    }
    case 'delete':
      return record.before === undefined ? [] : values(record.table, record.before)
    case 'truncate':
      return [record.cascade && 'cascade', record.restartIdentity && 'restart identity']
        .filter((option) => option !== false)
        .map((option) => [dim(option)])
    case 'schema':
      return shapeChanges(record.table, shape)
    case 'message':
      return [[dim(`${plain(record.prefix)}: `), { text: plain(Buffer.from(record.content).toString()) }]]
  }
}

/** The columns that do not belong to the key, which has a place of its own. */
function visible({ columns, selected, key }: Table): readonly Column[] {
  return selected.filter((index) => !key.includes(index)).map((index) => columns[index]!)
}

function values(table: Table, row: RowView): readonly (readonly Piece[])[] {
  return visible(table)
    .filter(({ name }) => row.text(name) !== undefined)
    .map((column) => [dim(`${column.name}=`), valueText(column, row)])
}

function changes(table: Table, before: RowView, after: RowView): readonly (readonly Piece[])[] {
  const changed = visible(table).filter(({ name }) => before.text(name) !== after.text(name))
  return changed.map((column) => [
    dim(`${column.name} `),
    valueText(column, before),
    dim(' → '),
    valueText(column, after),
  ])
}

function shapeChanges(table: Table, shape: Table | undefined): readonly (readonly Piece[])[] {
  const before = new Map(shape?.columns.map((column) => [column.name, column.typeName]))
  const now = new Map(table.columns.map((column) => [column.name, column.typeName]))
  const appeared = [...now].filter(([name]) => !before.has(name)).map(([name, type]) => `+ ${name} ${type}`)
  const gone = [...before.keys()].filter((name) => !now.has(name)).map((name) => `- ${name}`)
  const retyped = [...now]
    .filter(([name, type]) => before.has(name) && before.get(name) !== type)
    .map(([name, type]) => `${name} ${before.get(name)} → ${type}`)
  return [...appeared, ...gone, ...retyped].map((text) => [{ text: plain(text) }])
}

/** Room for the values of an ordinary row. */
const LONGEST_VALUE = 60

function valueText({ name, typeName }: Column, row: RowView): Piece {
  const text = row.text(name)
  if (text === null || text === undefined) return dim(text === null ? 'null' : '?')
  const short = text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text
  const quoted = /^(text|character|citext)/.test(typeName) && !typeName.endsWith('[]') && /^$|[\s"=,]/.test(short)
  return { text: quoted ? `"${plain(short)}"` : plain(short) }
}

function keyText(key: Readonly<Record<string, unknown>> | undefined): string {
  const parts = Object.values(key ?? {}).map((value) =>
    typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value),
  )
  return plain(parts.join('/'))
}

/** Nothing that a terminal would obey: rows are somebody's, also here. */
function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

function dim(text: string): Piece {
  return { text, style: 'dim' }
}

function joined(phrases: readonly (readonly Piece[])[]): readonly Piece[] {
  return phrases.flatMap((phrase, index) => (index === 0 ? phrase : [{ text: '  ' }, ...phrase]))
}
