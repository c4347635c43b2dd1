import fc from 'fast-check'
import { expect } from 'vitest'
import { AvroDecoder, avroTable } from '../../src/codec/avro/index.js'
import { codecFor } from '../../src/codec/codecFor.js'
import { textTarget } from '../../src/codec/text/target.js'
import { ByteWriter, viewOf } from '../../src/core/byteWriter.js'
import { type Column, Table } from '../../src/core/table.js'
import { Tape } from '../../src/core/tape.js'
import { TypeDefinitions } from '../../src/postgres/catalog/typeDefinitions.js'
import { type PgType, TypeCatalog } from '../../src/postgres/catalog/types.js'
import { parseConnectionString } from '../../src/postgres/connectionString.js'
import { CopyOut } from '../../src/postgres/copy/copyOut.js'
import { readCopyRow } from '../../src/postgres/copy/row.js'
import { Session } from '../../src/postgres/session.js'
import { decoded, writeRow } from './avro.js'
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
    const { inputs, types, copied, streamed } = await this.#fill(samples)
    const expected = await this.#toJson(samples.length)
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

  /**
   * The same of Avro: a row of the snapshot and of the stream is the same bytes of the same schema, another library reads
   * in them what the server says of the values, and our own decoder's texts, written back, are what was there.
   */
  async checkAvro(samples: readonly TypeSamples[]): Promise<void> {
    const { inputs, types, copied, streamed } = await this.#fill(samples)
    const table = await this.#describe(types)
    const avro = avroTable(table)
    const expected = await this.#facts(table)
    const decoders = new Map<string, AvroDecoder>()
    const targets = new Map(types.map((type, i) => [`c${i}`, textTarget(type)]))
    const texts: (string | null)[][] = []
    for (const [row, input] of inputs.entries()) {
      const { schema, bytes } = writeRow(avro, table, copied[row]!)
      const again = writeRow(avro, table, streamed[row]!)
      expect(again.schema, `TAILRACE_SEED=${SEED}`).toBe(schema)
      expect(again.bytes.equals(bytes), `row ${row}, TAILRACE_SEED=${SEED}`).toBe(true)
      const values = decoded(schema, bytes)
      for (const [i, sample] of samples.entries()) {
        const fact = expected[row]![i]
        const { typeOid } = table.columns[i]!
        const where = `Avro of ${sample.sql} ${JSON.stringify(input[i])} (TAILRACE_SEED=${SEED})`
        if (fact !== undefined)
          expect(comparable(values[`c${i}`], typeOid), where).toStrictEqual(comparable(fact, typeOid))
      }
      const decoder = decoders.get(schema) ?? new AvroDecoder(schema, (column) => targets.get(column)!)
      decoders.set(schema, decoder)
      const found = new Map(decoder.decode(bytes).map((text, i) => [decoder.columns[i]!, text]))
      texts.push(samples.map((_, i) => (isUtf8(copied[row]![i]!) ? found.get(`c${i}`)! : null)))
    }
    await this.#insert('back', samples.length, texts)
    const back = await this.#copy('back', samples.length)
    for (const [row, cells] of copied.entries()) {
      for (const [i, sample] of samples.entries()) {
        if (texts[row]![i] === null) continue
        const where = `way back of ${sample.sql} ${JSON.stringify(texts[row]![i])} (TAILRACE_SEED=${SEED})`
        expect(withoutBounds(back[row]![i]!.toString()), where).toBe(withoutBounds(cells[i]!.toString()))
      }
    }
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

  /** A table of values of all `samples`, one column a type, as both halves read it. */
  async #fill(samples: readonly TypeSamples[]) {
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
    expect(copied.length).toBe(inputs.length)
    expect(streamed.length).toBe(inputs.length)
    return { inputs, types, copied, streamed }
  }

  /** The table of samples without its id, as the source compiles it. */
  async #describe(types: readonly PgType[]): Promise<Table> {
    const rows = await this.session.query<{ name: string; oid: number; typmod: number; type: string }>(
      `SELECT attname::text AS name, atttypid::int8::int4 AS oid, atttypmod AS typmod, format_type(atttypid, atttypmod) AS type
         FROM pg_catalog.pg_attribute WHERE attrelid = 'public.samples'::pg_catalog.regclass AND attnum > 1 ORDER BY attnum`,
    )
    const definitions = new TypeDefinitions(this.session)
    await definitions.load(rows.map(({ oid }) => Number(oid)))
    return new Table({
      oid: 1,
      schema: 'public',
      name: 'samples',
      columns: rows.map(({ name, oid, typmod, type }, i): Column => {
        const origin = { number: i + 2, before: null, types: definitions.of(Number(oid)) }
        return {
          name,
          typeOid: Number(oid),
          typmod: Number(typmod),
          typeName: type,
          notNull: false,
          generated: false,
          origin,
        }
      }),
      codecs: types.map((type) => codecFor(type)),
      selected: types.map((_, i) => i),
      key: [],
      replicaIdentity: 'default',
    })
  }

  /** What the server says that Avro's values are; undefined where it is not asked. */
  async #facts({ columns }: Table): Promise<(unknown | undefined)[][]> {
    const list = columns.map(({ name, typeOid, typmod }) => `(${factSql(name, typeOid, typmod)})::text AS ${name}`)
    const rows = await this.session.query<Record<string, string | null>>(
      `SELECT ${list.join(', ')} FROM public.samples ORDER BY id`,
    )
    return rows.map((row) =>
      columns.map(({ name, typeOid, typmod }) => {
        if (factSql(name, typeOid, typmod) === NOT_ASKED) return undefined
        return row[name]
      }),
    )
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

const NOT_ASKED = "'not asked'"

/** Of a scalar the value that Avro has for it, as SQL; of all others NOT_ASKED. */
function factSql(column: string, oid: number, typmod: number): string {
  const whole = (expression: string) => `trunc((${expression})::numeric)`
  const infinite = (expression: string, max: string, min: string) =>
    `CASE ${column}::text WHEN 'infinity' THEN '${max}' WHEN '-infinity' THEN '${min}' ELSE (${expression})::text END`
  switch (oid) {
    case 16: // bool
    case 20: // int8
    case 21: // int2
    case 23: // int4
    case 25: // text
    case 700: // float4
    case 701: // float8
    case 1043: // varchar
    case 2950: // uuid
    case 790: // money
    case 600: // point
    case 1186: // interval
    case 3910: // tstzrange
      return column
    case 17: // bytea
      return `encode(${column}, 'hex')`
    case 114: // json
    case 3802: // jsonb
      return `encode(convert_to(${column}::text, 'UTF8'), 'hex')`
    case 1082: // date
      return infinite(`${column} - date '1970-01-01'`, '2147483647', '-2147483648')
    case 1083: // time
      return whole(`extract(epoch FROM ${column}) * 1000000`)
    case 1114: // timestamp
    case 1184: // timestamptz
      // beyond 64 bits it is a text, with a T
      return `CASE WHEN isfinite(${column}) AND extract(epoch FROM ${column}) * 1000000 >= 9223372036854775807
        THEN to_json(${column}) #>> '{}' ELSE ${infinite(whole(`extract(epoch FROM ${column}) * 1000000`), '9223372036854775807', '-9223372036854775808')} END`
    case 1700: // numeric, of a scale
      return typmod < 0
        ? column
        : `CASE ${column}::text WHEN 'NaN' THEN 'NaN' ELSE ${whole(`${column} * 10::numeric ^ ${(typmod - 4) & 0x7ff}`)}::text END`
    default:
      return NOT_ASKED
  }
}

/** Values of Avro and what the server prints, with numbers as numbers and bytes as hex. */
function comparable(value: unknown, oid: number): unknown {
  if (value === null) return null
  if (oid === 700) return Math.fround(Number(value))
  if (oid === 701) return Number(value)
  if (value instanceof Uint8Array && oid === 1700) {
    return String(BigInt.asIntN(8 * value.length, BigInt(`0x${Buffer.from(value).toString('hex')}`)))
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  return String(value)
}

function isUtf8(bytes: Cell): boolean {
  return bytes?.equals(Buffer.from(bytes.toString())) ?? false
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
