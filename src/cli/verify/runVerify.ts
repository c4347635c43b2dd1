import { TailraceError } from '../../core/tailraceError.js'
import type { VerifyOptions } from '../../verify/options.js'
import type { TableReport } from '../../verify/report.js'
import { verify } from '../../verify/verify.js'
import { fail } from '../failure.js'
import { print } from '../print.js'
import { Signals } from '../signals.js'
import { ProgressLines } from './progress.js'
import { exitCodeOf, reportAsJson, summaryAsText, tableAsText } from './report.js'

/** As commander gives them: names of settings, but `--key` for `keys` and `--settle` for `settleSeconds`. */
export interface VerifyCommandOptions extends Omit<VerifyOptions, 'tables' | 'keys' | 'settleSeconds'> {
  readonly tables: string
  readonly key?: readonly string[]
  readonly settle?: number
  readonly json?: boolean
  readonly quiet?: boolean
}

const COULD_NOT_TELL = 2
const CLOSED_PIPE = 141

/** Compares, prints each table when it is done (as JSON all at the end), and gives the exit code. */
export async function runVerify(options: VerifyCommandOptions): Promise<number> {
  const { key, settle, json = false, quiet = false, ...settings } = options
  const signals = new Signals()
  const progress = new ProgressLines({ quiet })
  const done: TableReport[] = []
  try {
    const report = await verify(
      { ...settings, ...(key !== undefined && { keys: key }), ...(settle !== undefined && { settleSeconds: settle }) },
      {
        signal: signals.signal,
        onEvent: (event) => progress.show(event),
        onTable: async (table) => {
          progress.rest()
          done.push(table)
          if (!json) await print(tableAsText(table))
        },
      },
    )
    progress.rest()
    await print(json ? reportAsJson(report) : summaryAsText(report.tables))
    return exitCodeOf(report.tables)
  } catch (error) {
    progress.rest()
    if (json && error instanceof TailraceError) await print(errorAsJson(error, done)).catch(() => {})
    return fail(error) === CLOSED_PIPE ? CLOSED_PIPE : COULD_NOT_TELL
  } finally {
    signals.release()
  }
}

/** What was known until then, and why there is no more. */
function errorAsJson({ code, message, hint }: TailraceError, tables: readonly TableReport[]): string {
  return reportAsJson({ tables }, { code, message, hint })
}
