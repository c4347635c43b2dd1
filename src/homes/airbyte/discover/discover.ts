import type { TailraceError } from '../../../core/tailraceError.js'
import type { Relation } from '../../../postgres/catalog/relations.js'
import { parseConnectionString } from '../../../postgres/connectionString.js'
import { sqlName } from '../../../postgres/identifier.js'
import { parseTablePatterns } from '../../../postgres/tablePattern.js'
import { chooseWhatCanBe } from '../../../source/doctor/chooseWhatCanBe.js'
import { connectReadOnly } from '../../../source/doctor/readFacts.js'
import type { AirbyteConfig } from '../config/readConfig.js'
import { describeFailure } from '../protocol/failure.js'
import type { MessageOutput } from '../protocol/messageOutput.js'
import { CURSOR, METADATA } from '../recordFormat.js'
import { jsonSchemaOf } from './jsonSchema.js'
import { databaseFacts, factsOf, type TableFacts } from './tableFacts.js'

type Output = Pick<MessageOutput, 'send' | 'log'>

/** Which tables a configuration names; all where it names none. */
export function patternsOf({ tables, source }: Pick<AirbyteConfig, 'tables' | 'source'>) {
  const include = (tables ?? ['*.*']).flatMap((list) => parseTablePatterns(list))
  return { include, excluded: source.exclude === undefined ? [] : parseTablePatterns(source.exclude) }
}

/** Writes the CATALOG, and LOG messages of what is not in it, or not as whole as it could be. */
export async function discover(config: AirbyteConfig, output: Output): Promise<void> {
  await using session = await connectReadOnly(parseConnectionString(config.source.url))
  const database = await databaseFacts(session)
  const mistakes: TailraceError[] = []
  const relations = chooseWhatCanBe(database.relations, patternsOf(config), mistakes)
  for (const one of mistakes) output.log('WARN', describeFailure(one))
  tellOfOthers(database.relations, output)
  const found = await factsOf(session, database, config, relations)
  const readable = found.filter(({ unreadable }) => unreadable === undefined)
  tellTogether(found, ({ unreadable }) => unreadable, 'not in the catalog', output)
  tellTogether(readable, ({ refusal }) => refusal, 'full_refresh only', output)
  if (readable.length === 0) output.log('WARN', `no table can be read by role ${database.server.user}`)
  const { record_format: format } = config
  const options = { bytea: config.bytea, bigNumbers: config.source.bigNumbers ?? 'number' }
  const streams = readable.map(({ table, planned, refusal }) => {
    const { columns: key } = planned.key
    const columns = table.columns.filter(({ name }) => planned.columns.includes(name))
    const properties = columns.map(({ name, typeOid }) => [
      name,
      // Of a deleted row all but its key is null.
      jsonSchemaOf(database.types.get(typeOid)!, options, key.includes(name)),
    ])
    return {
      name: table.name,
      namespace: table.schema,
      json_schema: {
        $schema: 'http://json-schema.org/draft-07/schema#',
        type: 'object',
        properties: { ...Object.fromEntries(properties), ...METADATA[format] },
      },
      supported_sync_modes: refusal === undefined ? ['full_refresh', 'incremental'] : ['full_refresh'],
      source_defined_cursor: true,
      default_cursor_field: [CURSOR[format]],
      ...(key.length > 0 && { source_defined_primary_key: key.map((name) => [name]) }),
      // Without a key nobody could tell which versions are of one row, if it was changed between two attempts.
      is_resumable: key.length > 0,
    }
  })
  output.send({ type: 'CATALOG', catalog: { streams } })
}

/** What has rows, and whose changes the server does not write. Partitions come with their root. */
function tellOfOthers(relations: readonly Relation[], output: Output): void {
  const kinds = new Map<string, string[]>()
  for (const relation of relations) {
    const { kind, persistence, parent } = relation
    if (parent !== undefined) continue
    const captured = (kind === 'ordinary' || kind === 'partitioned') && persistence === 'permanent'
    if (captured) continue
    const what = persistence === 'permanent' ? kind : `${persistence} table`
    kinds.set(what, [...(kinds.get(what) ?? []), sqlName(relation)])
  }
  for (const [kind, names] of kinds) {
    output.log('INFO', `not in the catalog, since the server writes no changes of a ${kind}: ${some(names)}`)
  }
}

const SHOWN = 20

function some(names: readonly string[]): string {
  const more = names.length - SHOWN
  return names.slice(0, SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

/** Each by itself with the SQL that mends it; of many of them some. */
function tellTogether(
  tables: readonly TableFacts[],
  problemOf: (table: TableFacts) => TailraceError | undefined,
  what: string,
  output: Output,
): void {
  const problems = tables.flatMap((table) => {
    const problem = problemOf(table)
    return problem === undefined ? [] : [{ name: sqlName(table.table), problem }]
  })
  for (const { name, problem } of problems.slice(0, SHOWN)) {
    output.log('WARN', `${name}, ${what}: ${describeFailure(problem)}`)
  }
  const rest = problems.slice(SHOWN).map(({ name }) => name)
  if (rest.length > 0) output.log('WARN', `${what} for like reasons: ${some(rest)}`)
}
