import type { TailraceError } from '../../core/tailraceError.js'
import { parseConnectionString } from '../../postgres/connectionString.js'
import { chooseWhatCanBe } from '../../source/doctor/chooseWhatCanBe.js'
import { diagnose } from '../../source/doctor/diagnose.js'
import type { Finding, Mend } from '../../source/doctor/finding.js'
import { connectReadOnly, readFacts } from '../../source/doctor/readFacts.js'
import { parseOptions } from '../../source/options.js'
import type { AirbyteConfig } from './config/readConfig.js'
import { patternsOf } from './discover/discover.js'
import { databaseFacts, factsOf } from './discover/tableFacts.js'
import { describeFailure } from './protocol/failure.js'
import type { MessageOutput } from './protocol/messageOutput.js'
import { connectionStatusMessage } from './protocol/messages.js'
import { inConfiguration } from './protocol/wording.js'

/** Everything that a run needs, looked at at once: one CONNECTION_STATUS with all that is missing and what mends it. */
export async function check(config: AirbyteConfig, output: MessageOutput): Promise<void> {
  const named = config.tablesNamed
  const options = parseOptions({
    ...config.source,
    tables: config.tables ?? '*.*',
    slot: config.slot_name,
    publication: config.publication_name,
  })
  const facts = await readFacts({ options, tablesNamed: named })
  const findings = diagnose(facts)
  for (const one of findings) if (one.status === 'warning') output.log('WARN', describe(one))
  const problems = findings.filter(({ status }) => status === 'problem').map(describe)
  // Who names no table means those that can be read, if there is one.
  if (facts.database !== undefined && !named) problems.push(...(await unreadable(config)))
  const failed = problems.length > 0
  const message = problems.length > 1 ? problems.map((one, index) => `${index + 1}. ${one}`).join('\n') : problems[0]
  output.send(connectionStatusMessage(failed ? 'FAILED' : 'SUCCEEDED', message))
}

/** Why no table at all can be read, if none can. */
async function unreadable(config: AirbyteConfig): Promise<string[]> {
  await using session = await connectReadOnly(parseConnectionString(config.source.url))
  const database = await databaseFacts(session)
  const mistakes: TailraceError[] = []
  const relations = chooseWhatCanBe(database.relations, patternsOf(config), mistakes)
  if (relations.length === 0) return config.tables === undefined ? [NO_TABLE] : mistakes.map(describeFailure)
  const tables = await factsOf(session, database, config, relations)
  const problems = tables.map(({ unreadable }) => unreadable).filter((one) => one !== undefined)
  if (problems.length === 0 || problems.length < tables.length) return []
  return problems.slice(0, SHOWN).map(describeFailure)
}

const SHOWN = 10
const NO_TABLE = 'the database has no table that can be read. Check that the configuration names the right database.'

function describe({ found, why, mend }: Finding): string {
  return [`${found}.`, why, ...mend.map(mendText)].join(' ')
}

/** As a configuration has it what is an option of the command line. */
function mendText({ kind, text }: Mend): string {
  const named = inConfiguration(text)
  if (kind === 'sql' || kind === 'command') return `Run: ${text}`
  return kind === 'option' ? `Or set ${named}.` : named
}
