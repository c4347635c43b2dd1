import fc from 'fast-check'
import { expect } from 'vitest'
import { codecFor } from '../../src/codec/codecFor.js'
import { ByteWriter, viewOf } from '../../src/core/byteWriter.js'
import { Tape } from '../../src/core/tape.js'
import { type PgType, TypeCatalog } from '../../src/postgres/catalog/types.js'
import { parseConnectionString } from '../../src/postgres/connectionString.js'
import { CopyOut } from '../../src/postgres/copy/copyOut.js'
import { readCopyRow } from '../../src/postgres/copy/row.js'
import { Session } from '../../src/postgres/session.js'
import type { TestDatabase } from './database.js'
import { toLiteral } from './literal.js'
import type { TypeSamples } from './samples/shape.js'

type Cell = Buffer | null
type Row = readonly Cell[]

/** Drawn values of each type, beside its extremes. */
const DRAWN_ROWS = 40

/** Drawing the same values again: TAILRACE_SEED=… as a failed test names it. */
const SEED = Number(process.env.TAILRACE_SEED ?? Date.now() % 2 ** 31)

/** Where the server itself is asked what its values are, in the settings of our sessions. */
export class ValueOracle implements AsyncDisposable {
  readonly session: Session
  readonly #replication: Session

  static async open(db: TestDatabase): Promise<ValueOracle> {
    const url = parseConnectionString(db.url)
    return new ValueOracle(await Session.connect(url), await Session.connect(url, { replication: true }))
  }

  private constructor(session: Session, replication: Session) {
    this.session = session
    this.#replication = replication
  }

  /**
   * Writes values of all `samples` into a table, one column a type, and holds what we make of them against the server:
   * snapshot bytes = stream bytes, our JSON = its to_json, and our JavaScript values, written back, = what was there.
   */
  async check(samples: readonly TypeSamples[]): Promise<void> {
    const columns = samples.map((sample, i) => `c${i} ${sample.sql}`)
    await this.session.query(`CREATE TABLE public.samples (id int4 PRIMARY KEY, ${columns.join(', ')})`)
    await this.session.query(`CREATE TABLE public.back (LIKE public.samples)`)
    await this.session.query('CREATE PUBLICATION oracle FOR TABLE public.samples')
    await this.#replication.query('CREATE_REPLICATION_SLOT oracle TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT')
    const inputs = drawRows(samples)
    await this.#insert('samples', samples.length, inputs)

    const types = await this.#columnTypes()
    const copied = await this.#copy('samples', samples.length)
    const streamed = await this.#stream()
    const expected = await this.#toJson(samples.length)
    expect(copied.length).toBe(inputs.length)
    expect(streamed.length).toBe(inputs.length)
    for (const [i, sample] of samples.entries()) {
      for (const [row, input] of inputs.entries()) {
        const where = `${sample.sql} ${JSON.stringify(input[i])} (TAILRACE_SEED=${SEED})`
        const bytes = copied[row]![i]!
        expect(streamed[row]![i]?.toString('latin1') ?? null, `stream of ${where}`).toBe(
          bytes?.toString('latin1') ?? null,
        )
        if (bytes === null) continue
        const json = jsonOf(types[i]!, bytes)
        expect(json, `JSON of ${where}`).toBe(oneLine(expected[row]![i]!))
        expect(plain(jsValueOf(types[i]!, bytes)), `value of ${where}`).toStrictEqual(plain(JSON.parse(json)))
      }
    }
    await this.#checkWayBack(samples, types, copied)
  }

  /** What `query` gives in one column, against to_json of it: for values that no table takes. */
  async checkQuery(typeOid: number, query: string): Promise<number> {
    const types = new TypeCatalog(this.session)
    await types.load([typeOid])
    const rows = await this.session.query<{ text: string | null; json: string | null }>(
      `SELECT v::pg_catalog.text AS text, pg_catalog.to_json(v)::pg_catalog.text AS json FROM (${query}) AS q(v)`,
    )
    for (const { text, json } of rows) {
      if (text !== null) expect(jsonOf(types.get(typeOid)!, Buffer.from(text)), query).toBe(oneLine(json!))
    }
    return rows.length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.close()
    await this.#replication.close()
  }

  /** JavaScript values as literals into a second table: it must print what the first one does. */
  async #checkWayBack(
    samples: readonly TypeSamples[],
    types: readonly PgType[],
    copied: readonly Row[],
  ): Promise<void> {
    const values = copied.map((row) => row.map((bytes, i) => (bytes === null ? null : jsValueOf(types[i]!, bytes))))
    const literals = values.map((row, r) =>
      row.map((value, i) => (canGoBack(types[i]!, copied[r]![i]!) ? toLiteral(types[i]!, value) : null)),
    )
    await this.#insert('back', samples.length, literals)
    const back = await this.#copy('back', samples.length)
    for (const [i, sample] of samples.entries()) {
      for (const [row, bytes] of copied.map((columns) => columns[i]!).entries()) {
        if (literals[row]![i] === null) continue
        const where = `${sample.sql} ${JSON.stringify(literals[row]![i])} (TAILRACE_SEED=${SEED})`
        expect(back[row]![i]!.toString(), `way back of ${where}`).toBe(withoutBounds(bytes!.toString()))
      }
    }
  }

  async #insert(table: string, columns: number, rows: readonly (readonly (string | null)[])[]): Promise<void> {
    const parameters = Array.from({ length: columns + 1 }, (_, i) => `$${i + 1}`).join(', ')
    for (const [id, row] of rows.entries()) {
      await this.session.query(`INSERT INTO public.${table} VALUES (${parameters})`, [id, ...row])
    }
  }

  async #columnTypes(): Promise<PgType[]> {
    const attributes = await this.session.query<{ oid: string }>(
      `SELECT atttypid::text AS oid FROM pg_attribute
        WHERE attrelid = 'public.samples'::regclass AND attnum > 1 ORDER BY attnum`,
    )
    const oids = attributes.map(({ oid }) => Number(oid))
    const catalog = new TypeCatalog(this.session)
    await catalog.load(oids)
    expect(catalog.takeUnknown()).toStrictEqual([])
    return oids.map((oid) => catalog.get(oid)!)
  }

  async #copy(table: string, columns: number): Promise<Row[]> {
    const rows: Row[] = []
    const tape = new Tape()
    await new CopyOut(this.session, `COPY (SELECT * FROM public.${table} ORDER BY id) TO STDOUT`, {
      row: (bytes, start, end) => {
        tape.length = 0
        readCopyRow(bytes, viewOf(bytes), start, end, columns + 1, tape)
        const cells = Array.from({ length: columns + 1 }, (_, i) => {
          const from = tape.values[2 * i]!
          return from < 0 ? null : Buffer.from(bytes.subarray(from, tape.values[2 * i + 1]!))
        })
        rows.push(cells.slice(1))
      },
    }).done
    return rows
  }

  async #stream(): Promise<Row[]> {
    const messages = await this.#replication.query<{ data: Buffer }>(
      `SELECT data FROM pg_catalog.pg_logical_slot_get_binary_changes(
        'oracle', NULL, NULL, 'proto_version', '1', 'publication_names', 'oracle')`,
    )
    return messages.filter(({ data }) => data[0] === INSERT).map(({ data }) => readInsert(data).slice(1))
  }

  async #toJson(columns: number): Promise<(string | null)[][]> {
    const list = Array.from({ length: columns }, (_, i) => `to_json(c${i})::text AS c${i}`)
    const rows = await this.session.query<Record<string, string | null>>(
      `SELECT ${list.join(', ')} FROM public.samples ORDER BY id`,
    )
    return rows.map((row) => Array.from({ length: columns }, (_, i) => row[`c${i}`]!))
  }
}

function drawRows(samples: readonly TypeSamples[]): (string | null)[][] {
  const columns = samples.map(({ extremes, drawn }, i) => [
    ...extremes,
    ...fc.sample(fc.option(drawn, { freq: 8 }), { numRuns: DRAWN_ROWS, seed: SEED + i }),
  ])
  const rows = Math.max(...columns.map((column) => column.length))
  return Array.from({ length: rows }, (_, row) => columns.map((column) => column[row] ?? null))
}

function jsonOf(type: PgType, bytes: Buffer): string {
  const writer = new ByteWriter()
  codecFor(type).writeJson(writer, bytes, 0, bytes.length)
  return writer.toBuffer().toString()
}

function jsValueOf(type: PgType, bytes: Buffer): unknown {
  return codecFor(type).readValue(bytes, 0, bytes.length)
}

/** The one deviation: raw line breaks, which stand between the tokens of json only, are blanks in NDJSON. */
function oneLine(json: string): string {
  return json.replaceAll(/[\r\n]/g, ' ')
}

/**
 * JavaScript's numbers and keys do not keep json as it was, its arrays do not tell a dimension from an element that is
 * an array, and U+FFFD leads back to no "char".
 */
function canGoBack(type: PgType, bytes: Cell): boolean {
  return bytes !== null && !isAmbiguous(type) && bytes.equals(Buffer.from(bytes.toString()))
}

function isAmbiguous(type: PgType): boolean {
  if (type.kind === 'array') return type.element.kind === 'array' || isAmbiguous(type.element)
  if (type.kind === 'composite') return type.fields.some((field) => isAmbiguous(field.type))
  return type.kind === 'scalar' && (type.oid === 114 || type.oid === 3802)
}

/** What a JavaScript value of ours and its JSON, parsed, have in common: all but how numbers and bytes are held. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'object' && value !== null) {
    return { entries: Object.entries(value).map(([key, field]) => [key, plain(field)]) }
  }
  if (typeof value === 'bigint' || (typeof value === 'string' && /^-?(\d|Infinity$|NaN$)/.test(value))) {
    return Number.isNaN(Number(value)) ? value : Number(value)
  }
  return Number.isNaN(value) ? 'NaN' : value
}

/** JavaScript's arrays have no lower bounds. */
function withoutBounds(text: string): string {
  return text.replace(/^(\[[-\d]+:[-\d]+\])+=/, '')
}

const INSERT = 0x49

/** The tuple of a pgoutput Insert, protocol 1: 'I', Int32 relid, 'N', Int16 columns, then 'n' or 't' Int32 Byte[n]. */
function readInsert(message: Buffer): Cell[] {
  const cells: Cell[] = []
  for (let p = 8, left = message.readInt16BE(6); left > 0; left--) {
    const kind = message[p++]
    if (kind === 0x6e) {
      cells.push(null)
      continue
    }
    const length = message.readInt32BE(p)
    cells.push(message.subarray(p + 4, p + 4 + length))
    p += 4 + length
  }
  return cells
}
