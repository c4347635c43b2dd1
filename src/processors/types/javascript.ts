import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as z from 'zod'
import type { RowBatch } from '../../core/rowBatch.js'
import { setting } from '../../core/setting.js'
import type { Table } from '../../core/table.js'
import { unfit, withColumns } from '../describe.js'
import { missingForSandbox, plainProgram, sandboxProgram } from '../javascript/programs.js'
import { textOfJs } from '../javascript/textOfJs.js'
import { FunctionThread, type GivenOutcome, type GivenRecord } from '../javascript/thread.js'
import type { Outcome, Plan, Processor } from '../processor.js'
import { type ProcessorPlace, processorType } from '../processorType.js'
import { rowsOf } from '../rows/recordRows.js'
import { ValueProblem } from '../sql/problem.js'
import { columnType, type SqlType } from '../sql/types.js'

const ADDED = [
  'text',
  'int4',
  'int8',
  'numeric',
  'float8',
  'bool',
  'date',
  'timestamp',
  'timestamptz',
  'uuid',
  'json',
] as const

/** `type: javascript`. */
export const javascriptType = processorType({
  settings: {
    file: setting(z.string().min(1).optional(), {
      description: 'An ES module beside the pipeline’s file, if relative, whose default export is the function.',
      example: 'enrich.mjs',
    }),
    code: setting(z.string().min(1).optional(), {
      description: 'Such a module itself, instead of a file.',
      example: 'export default (record) => record.after?.total !== 0',
    }),
    add: setting(z.record(z.string().min(1), z.enum(ADDED)).default({}), {
      description: `Columns that the function makes, with their types: ${ADDED.join(', ')}. NULL where it leaves them out.`,
      example: '{full_name: text}',
    }),
    sandbox: setting(z.boolean().default(false), {
      description:
        'Run the function in an engine of its own, which has nothing but the language: no process, no files, no network, no imports. Needs the package quickjs-emscripten beside tailrace.',
    }),
    timeoutMs: setting(z.int().min(1).max(600_000).default(1000), {
      description: 'So long the function may take for one record.',
      unit: 'ms',
    }),
    memoryMb: setting(z.int().min(16).max(4096).default(128), {
      description: 'How large its heap may become. Without sandbox buffers and typed arrays are outside of it.',
      unit: 'MB',
    }),
  },
  problems: ({ file, code, sandbox }) => {
    const install = sandbox ? missingForSandbox() : undefined
    return [
      ...((file === undefined) === (code === undefined)
        ? [{ name: 'file', problem: 'either file or code is expected' }]
        : []),
      ...(install === undefined
        ? []
        : [{ name: 'sandbox', problem: `it needs a package that is not there: ${install}` }]),
    ]
  },
  create: ({ file, code = '', add, sandbox, ...limits }, place) => {
    const path = file === undefined ? undefined : resolve(place.folder, file)
    if (sandbox) {
      const program = sandboxProgram(path === undefined ? { code } : { file: path }, limits)
      return [new JavascriptProcessor(new FunctionThread(program, limits), add, place)]
    }
    const inline = `data:text/javascript;base64,${Buffer.from(code).toString('base64')}`
    const program = plainProgram(path === undefined ? inline : String(pathToFileURL(path)), limits)
    return [new JavascriptProcessor(new FunctionThread(program, limits), add, place)]
  },
})

const OPERATIONS = ['snapshot', 'create', 'update', 'delete'] as const
/** So many records are given to the thread at once. */
const GIVEN = 500

class JavascriptProcessor implements Processor {
  readonly #thread: FunctionThread
  readonly #added: Readonly<Record<string, SqlType>>
  readonly #place: ProcessorPlace

  constructor(thread: FunctionThread, added: Readonly<Record<string, SqlType>>, place: ProcessorPlace) {
    this.#thread = thread
    this.#added = added
    this.#place = place
  }

  plan(table: Table): Plan {
    const added = Object.entries(this.#added).map(([name, type]) => ({ name, type }))
    const twice = (name: string) => unfit(this.#place.name, table, `it has a column "${name}" already`)
    const after = withColumns(table, added, this.#place.codecs, twice)
    const outcomes = (rows: RowBatch, indexes: readonly number[]) => this.#outcomes(table, after, rows, indexes)
    return { kind: 'compute', compute: { table: after, outcomes } }
  }

  close(): Promise<void> {
    return this.#thread.close()
  }

  async #outcomes(table: Table, after: Table, rows: RowBatch, indexes: readonly number[]): Promise<Outcome[]> {
    const outcomes: Outcome[] = []
    for (let from = 0; from < indexes.length; from += GIVEN) {
      const given = indexes.slice(from, from + GIVEN).map((index) => givenOf(table, rows, index))
      const made = await this.#thread.run(given).catch((error) => {
        throw error instanceof ValueProblem ? unfit(this.#place.name, table, error.message) : error
      })
      outcomes.push(...made.map((one) => outcomeOf(after, one)))
    }
    return outcomes
  }
}

function givenOf(table: Table, rows: RowBatch, index: number): GivenRecord {
  const { operation, before, after, ofKey } = rowsOf(table, rows, index)
  const key = Object.fromEntries(table.key.map((column) => [table.columns[column]!.name, ofKey.value(column)]))
  return {
    operation: OPERATIONS[operation]!,
    schema: table.schema,
    table: table.name,
    key: table.key.length === 0 ? undefined : key,
    before: before?.toObject(),
    after: after?.toObject(),
  }
}

function outcomeOf(table: Table, given: GivenOutcome): Outcome {
  if ('drop' in given) return given
  if ('failure' in given) return { failure: new ValueProblem(given.failure) }
  try {
    return { before: textsOf(table, given.before), after: textsOf(table, given.after) }
  } catch (error) {
    return { failure: error as Error }
  }
}

function textsOf(table: Table, values: Readonly<Record<string, unknown>>): Map<number, string | null> {
  const texts = new Map<number, string | null>()
  for (const [name, value] of Object.entries(values)) {
    const index = table.selected.find((column) => table.columns[column]!.name === name)
    if (index === undefined) throw new ValueProblem(`it made a column "${name}", which is not under "add"`)
    if (table.key.includes(index)) throw new ValueProblem(`it changed "${name}", which belongs to the key`)
    texts.set(index, textOfJs(columnType(table, index), name, value))
  }
  return texts
}
