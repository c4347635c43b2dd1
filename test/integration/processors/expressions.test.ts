import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { codecFor } from '../../../src/codec/codecFor.js'
import { Table } from '../../../src/core/table.js'
import { NULL_COLUMN } from '../../../src/core/tape.js'
import { TypeCatalog } from '../../../src/postgres/catalog/types.js'
import { Tuple } from '../../../src/processors/rows/tuple.js'
import { castTo } from '../../../src/processors/sql/casts.js'
import { compile, scopeOf } from '../../../src/processors/sql/compile.js'
import { loadGrammar, parseExpression } from '../../../src/processors/sql/grammar.js'
import { ExpressionProblem, ValueProblem } from '../../../src/processors/sql/problem.js'
import { columnReader, columnType } from '../../../src/processors/sql/types.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { Drawn, EXPRESSIONS, OPAQUE } from '../../support/sqlExpressions.js'

const SEED = Number(process.env.TAILRACE_SEED ?? Date.now() % 2 ** 31)
const DRAWN = 250

let server: EmbeddedPostgres
let db: TestDatabase
let table: Table
let rows: (string | null)[][]

const COLUMNS = `
  i2 smallint, i4 int, i8 bigint, n numeric, n2 numeric(12,2), f4 real, f8 float8, b boolean, t text, v varchar(12),
  c char(6), d date, ts timestamp, tz timestamptz, u uuid, y bytea, j json, jb jsonb, e mood, ip inet, "Odd name" text`

beforeAll(async () => {
  await loadGrammar()
  server = await startServer()
  db = await testDatabase(
    server,
    `SET DateStyle = ISO; SET TimeZone = 'UTC';
     CREATE TYPE mood AS ENUM ('sad', 'glad');
     CREATE TABLE t (id serial, ${COLUMNS});
     ${OPAQUE};
     CREATE FUNCTION told(expression text, row_id int) RETURNS text LANGUAGE plpgsql AS $$
       DECLARE result text;
       BEGIN
         EXECUTE 'SELECT (' || expression || ')::text FROM t WHERE id = $1' INTO result USING row_id;
         RETURN coalesce(result, 'NULL');
       EXCEPTION WHEN others THEN RETURN 'ERROR ' || SQLERRM;
       END $$`,
  )
  const drawn = new Drawn(SEED)
  for (let n = 0; n < 25; n++) await db.query(`INSERT INTO t VALUES (DEFAULT, ${drawn.row().join(', ')})`)
  const columns = await db.query<{ name: string; oid: number; type: string }>(
    `SELECT attname AS name, atttypid::int AS oid, format_type(atttypid, atttypmod) AS type FROM pg_attribute
      WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum`,
  )
  const types = new TypeCatalog({ query: (sql: string, values?: unknown[]) => db.query(sql, values) } as never)
  await types.load(columns.map(({ oid }) => oid))
  table = new Table({
    oid: 1,
    schema: 'public',
    name: 't',
    columns: columns.map(({ name, oid, type }) => {
      return { name, typeOid: oid, typmod: -1, typeName: type, notNull: false, generated: false }
    }),
    codecs: columns.map(({ oid }) => codecFor(types.get(oid)!)),
    selected: columns.map((_, index) => index),
    key: [0],
    replicaIdentity: 'full',
  })
  const asText = { getTypeParser: () => (text: string) => text }
  const found = await db.client.query({ text: 'SELECT * FROM t ORDER BY id', rowMode: 'array', types: asText as never })
  rows = found.rows as unknown as (string | null)[][]
})
afterAll(async () => {
  await db?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

function tupleOf(values: readonly (string | null)[]): Tuple {
  const tuple = new Tuple()
  tuple.bytes = Buffer.from(values.map((value) => value ?? '').join(''))
  tuple.tape = new Int32Array(2 * values.length)
  let at = 0
  for (const [i, value] of values.entries()) {
    const length = Buffer.byteLength(value ?? '')
    tuple.tape[2 * i] = value === null ? NULL_COLUMN : at
    tuple.tape[2 * i + 1] = value === null ? NULL_COLUMN : at + length
    at += length
  }
  return tuple
}

/** Of each row what we make of the expression, as text; or why we make nothing of it. */
function ours(expression: string): string[] {
  const { tree, sql } = parseExpression(expression)
  const { type, evaluate } = compile(tree, sql, scopeOf(table))
  const toText = castTo(type, 'text')!
  return rows.map((row) => {
    try {
      const value = evaluate(tupleOf(row))
      return value === null ? 'NULL' : String(toText(value))
    } catch (error) {
      if (!(error instanceof ValueProblem)) throw error
      return 'ERROR'
    }
  })
}

async function theirs(expression: string): Promise<string[]> {
  const told = await db.query<{ told: string }>('SELECT told($1, id) AS told FROM t ORDER BY id', [expression])
  return told.map((row) => row.told)
}

/** Of the first row of which the server says something else, asked in its own words; undefined: there is none. */
async function difference(expression: string, asked = expression): Promise<string | undefined> {
  const [mine, server] = [ours(expression), await theirs(asked)]
  const i = server.findIndex((told, i) => mine[i] !== (told.startsWith('ERROR ') ? 'ERROR' : told))
  if (i < 0) return undefined
  return `${expression}: ${mine[i]}, and the server says ${server[i]}, of ${JSON.stringify(rows[i])}`
}

test('the values of columns are read as the server means them', () => {
  for (const [index] of table.columns.entries()) {
    const type = columnType(table, index)
    const read = columnReader(type)
    for (const row of rows) {
      const bytes = Buffer.from(row[index] ?? '')
      if (row[index] !== null) expect(read(bytes, 0, bytes.length), `${table.columns[index]!.name}`).not.toBeUndefined()
    }
  }
})

test('what stands for every kind of expression is for each row what the server says', async () => {
  const differences: string[] = []
  for (const expression of EXPRESSIONS) {
    const found = await difference(expression).catch((error: Error) => `${expression}: ${error.message}`)
    if (found !== undefined) differences.push(found)
  }
  expect(differences, `TAILRACE_SEED=${SEED}`).toEqual([])
})

test(`${DRAWN} drawn expressions are for each row what the server says, or are refused`, async () => {
  const drawn = new Drawn(SEED)
  const differences: string[] = []
  let refused = 0
  for (let n = 0; n < DRAWN; n++) {
    try {
      const { expression, asked } = drawn.expression()
      const found = await difference(expression, asked)
      if (found !== undefined) differences.push(found)
    } catch (error) {
      if (!(error instanceof ExpressionProblem)) throw error
      refused++
    }
  }
  expect(differences, `TAILRACE_SEED=${SEED}`).toEqual([])
  expect(refused).toBeLessThan(DRAWN / 5)
})
