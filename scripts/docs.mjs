// Writes the reference pages that are made from the code; with --check it fails if one of them has drifted.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import '../dist/core/errors.js'
import '../dist/core/verifyErrors.js'
import '../dist/core/destinationErrors.js'
import '../dist/core/httpErrors.js'
import '../dist/core/pipelineErrors.js'
import '../dist/core/processorErrors.js'
import '../dist/core/customSinkErrors.js'
import '../dist/core/websocketErrors.js'
import '../dist/core/packageErrors.js'
import '../dist/core/avroErrors.js'
import '../dist/core/templateErrors.js'
import '../dist/core/payloadErrors.js'
import '../dist/core/conduitErrors.js'
import '../dist/core/airbyteErrors.js'
import '../dist/core/deadLetterErrors.js'
import '../dist/core/tlsErrors.js'
import '../dist/core/webhookErrors.js'
import { ACCEPTED_TYPES } from '../dist/codec/declared/declaredTypes.js'
import { describeSettings, snakeCase } from '../dist/core/setting.js'
import { definedErrors } from '../dist/core/tailraceError.js'
import { definedWarnings } from '../dist/core/warnings.js'
import { destinationSettings } from '../dist/destination/settings.js'
import { airbyteSettings } from '../dist/homes/airbyte/config/settings.js'
import { conduitDestinationSettings } from '../dist/homes/conduit/settings/destinationSettings.js'
import { formatDuration } from '../dist/homes/conduit/settings/duration.js'
import { conduitSourceSettings } from '../dist/homes/conduit/settings/sourceSettings.js'
import {
  cdcSettings,
  columnSettings,
  incrementalSettings,
  postgresSinkSettings,
  secretStorages,
  secretsSettings,
  serviceSettings,
} from '../dist/homes/pipeline/config/blink/settings.js'
import {
  deadLetterSettings,
  pipelineSettings,
  processorSettings,
  retrySettings,
  sinkSettings,
} from '../dist/homes/pipeline/config/settings.js'
import { METRICS } from '../dist/homes/pipeline/metrics/declared.js'
import { CONNECTION_PARAMETERS } from '../dist/postgres/connection/parameters.js'
import { processorTypes } from '../dist/processors/processorTypes.js'
import { sinkTypes } from '../dist/sinks/sinkTypes.js'
import { sourceSettings } from '../dist/source/settings.js'

const check = process.argv.includes('--check')
const path = (name) => fileURLToPath(new URL(`../docs/${name}`, import.meta.url))
const cell = (text) => String(text).replaceAll('|', '\\|').replaceAll('\n', ' ')

function settingsTable(settings, nameOf = (name) => name) {
  const rows = describeSettings(settings).map((one) => {
    const type = one.choices === undefined ? one.type : one.choices.map((choice) => `\`${choice}\``).join(', ')
    const isEmpty = typeof one.default === 'object' && one.default !== null && Object.keys(one.default).length === 0
    const none = one.default === undefined || isEmpty
    const fallback = one.required ? '**required**' : none ? '' : `\`${one.default}\`${one.unit ? ` ${one.unit}` : ''}`
    const example = one.example === undefined ? '' : ` Example: \`${one.example}\`.`
    return `| \`${nameOf(one.name)}\` | ${type} | ${fallback} | ${cell(one.description)}${cell(example)} |`
  })
  return `| setting | values | default | meaning |\n|---|---|---|---|\n${rows.join('\n')}\n`
}

function settingsPage() {
  return `# Settings

Made from the code by \`npm run docs\`. Each is an option of \`PostgresSource\`; the command line has it as
\`--snapshot-workers\` for \`snapshotWorkers\` (\`--key\` for \`keys\`), and as a variable \`TAILRACE_SNAPSHOT_WORKERS\`.

${settingsTable(sourceSettings)}
## The Postgres destination

Options of \`PostgresDestination\`: see [destination.md](destination.md).

${settingsTable(destinationSettings)}`
}

/** Stands for a fact of an error that only an occurrence has: whatever is asked of it, it prints its name. */
function fact(name) {
  return new Proxy(() => fact(name), {
    get: (_, property) =>
      property === Symbol.toPrimitive || property === 'toJSON'
        ? () => `‹${name}›`
        : property === 'length'
          ? 1
          : fact(name),
  })
}

/** Of each code the sections of the runbook that speak of it. */
function runbook() {
  const sections = new Map()
  for (const section of readFileSync(path('operations.md'), 'utf8').split(/^## /m).slice(1)) {
    const [title] = section.split('\n', 1)
    const anchor = title
      .toLowerCase()
      .replace(/[^a-z0-9 _-]/g, '')
      .replaceAll(' ', '-')
    for (const code of new Set(section.match(/\b[A-Z]+(?:_[A-Z]+)+\b/g))) {
      const known = definedErrors.has(code) || definedWarnings.has(code)
      if (!known) throw new Error(`docs/operations.md speaks of ${code}, which is no code`)
      sections.set(code, [...(sections.get(code) ?? []), `[${title}](operations.md#${anchor})`])
    }
  }
  return sections
}

function errorsPage() {
  const facts = new Proxy({ value: '‹value›' }, { get: (known, name) => known[name] ?? fact(String(name)) })
  const retries = { later: 'trying again may help', operator: 'somebody must act first', never: 'please report it' }
  const sections = runbook()
  const section = (code, { message, hint, retry }) => {
    const lines = [
      `- What to do: ${typeof hint === 'string' ? hint : hint(facts)}`,
      ...(retry === undefined ? [] : [`- Retry: ${retries[retry]}`]),
      ...(sections.has(code) ? [`- See ${sections.get(code).join(', ')}`] : []),
    ]
    // Of what is no number there is no size.
    const says = message(facts).replaceAll('NaN bytes', '‹size›')
    return `## ${code}\n\n${says}\n\n${lines.join('\n')}\n`
  }
  const errors = [...definedErrors.values()].map(({ code, definition }) => section(code, definition))
  const warnings = [...definedWarnings].map(([code, definition]) => section(code, definition))
  return `# Errors and warnings

Made from the code by \`npm run docs\`. Every error has a stable \`code\`, a \`message\` with the values, a \`hint\`, its facts
in \`details\`, and the server's or Node's own error as \`cause\`. What stands in ‹› differs from one occurrence to another.
The [warnings](#warnings) stand behind the errors; [operations.md](operations.md) is about situations.

${errors.join('\n')}
# Warnings

Events of type \`warning\`: the run goes on. On standard error \`tailrace: warning: CODE: message. What to do\`. Some errors come as a
warning, under their own code, where a setting says so (\`onPublicationChange: 'continue'\`), or where they keep one new table from
being captured.

${warnings.join('\n')}`
}

function cliPage() {
  const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
  const help = (...args) =>
    execFileSync(process.execPath, [main, ...args, '--help'], { encoding: 'utf8', env: { COLUMNS: '100' } })
  const signals = ['status', 'add', 'remove', 'resnapshot'].map((name) => ['signal', name])
  const names = [
    ['stream'],
    ['run'],
    ['validate'],
    ['dlq'],
    ['dlq', 'list'],
    ['dlq', 'show'],
    ['dlq', 'replay'],
    ['dlq', 'drop'],
    ['doctor'],
    ['slots'],
    ['slots', 'drop'],
    ['signal'],
    ...signals,
    ['verify'],
    ['demo'],
  ]
  const commands = names.map((name) => `## tailrace ${name.join(' ')}\n\n\`\`\`\n${help(...name)}\`\`\`\n`)
  return `# Command line

Made from the code by \`npm run docs\`: what \`--help\` prints.

\`\`\`
${help()}\`\`\`

${commands.join('\n')}`
}

/** The page is written by hand but for its table. */
function connectionsPage() {
  const rows = CONNECTION_PARAMETERS.map(
    (one) =>
      `| \`${one.name}\` | ${one.variable === undefined ? '' : `\`${one.variable}\``} | ${cell(one.default ?? '')} | ${cell(one.does)} |`,
  )
  const table = `| parameter | variable | default | what tailrace does |\n|---|---|---|---|\n${rows.join('\n')}\n`
  const between = /(<!-- parameters: [^\n]*-->\n)[\s\S]*(<!-- end of parameters -->)/
  return readFileSync(path('connections.md'), 'utf8').replace(between, (_, begin, end) => begin + table + end)
}

/** The page is written by hand but for its tables. */
function pipelinesPage() {
  const tables = {
    pipeline: pipelineSettings,
    sink: sinkSettings,
    retry: retrySettings,
    dead_letter: deadLetterSettings,
  }
  return withSettings('pipelines.md', tables)
}

/** Blink's drivers of sinks that are not of a source we read. */
const BLINK_SINKS = 'stdout postgres kafka nats rabbitmq redis websocket mongodb clickhouse'.split(' ')

/** The page is written by hand but for its tables. */
function blinkPage() {
  const types = Object.entries(ACCEPTED_TYPES).map(
    ([name, accepted]) => `| \`${name}\` | ${[...accepted, 'String'].map((one) => `\`${one}\``).join(', ')} |`,
  )
  const drivers = [...new Set([...BLINK_SINKS, ...sinkTypes.keys()])].map((name) => {
    const origin = BLINK_SINKS.includes(name) ? 'Blink’s' : 'ours'
    return `| \`${name}\` | ${origin} | ${sinkTypes.has(name) ? 'yes' : 'not yet: the file is refused'} |`
  })
  const tables = {
    service: settingsTable(serviceSettings, snakeCase),
    postgres_cdc: settingsTable(cdcSettings, snakeCase),
    postgres_incremental: settingsTable(incrementalSettings, snakeCase),
    columns: settingsTable(columnSettings),
    'the postgres sink': settingsTable(postgresSinkSettings, snakeCase),
    secrets: settingsTable({ ...secretsSettings, ...secretStorages.environment, ...secretStorages.file }, snakeCase),
    types: `| column | databrewType |\n|---|---|\n${types.join('\n')}\n`,
    sinks: `| driver | whose | there |\n|---|---|---|\n${drivers.join('\n')}\n`,
  }
  let page = readFileSync(path('blink.md'), 'utf8')
  for (const [name, table] of Object.entries(tables)) {
    const between = new RegExp(`(<!-- ${name}: [^\\n]*-->\\n)[\\s\\S]*?(<!-- end -->)`)
    if (!between.test(page)) throw new Error(`docs/blink.md has no place for ${name}`)
    page = page.replace(between, (_, begin, end) => `${begin}\n${table}\n${end}`)
  }
  return page
}

/** A page of its own for each type, written by hand but for its table of settings. */
function typePages(folder, types) {
  return Object.fromEntries(
    [...types].map(([name, { settings }]) => {
      const page = `${folder}/${name}.md`
      return [page, withSettings(page, { [name]: settings })]
    }),
  )
}

/** The page with tables of settings where it has places for them. */
function withSettings(file, tables) {
  let page = readFileSync(path(file), 'utf8')
  for (const [name, settings] of Object.entries(tables)) {
    if (Object.keys(settings).length === 0) continue
    const between = new RegExp(`(<!-- settings of ${name}: [^\\n]*-->\\n)[\\s\\S]*?(<!-- end -->)`)
    if (!between.test(page)) throw new Error(`docs/${file} has no place for the settings of ${name}`)
    page = page.replace(between, (_, begin, end) => `${begin}\n${settingsTable(settings, snakeCase)}\n${end}`)
  }
  return page
}

/** The page is written by hand but for its table. */
function airbytePage() {
  const between = /(<!-- settings of airbyte: [^\n]*-->\n)[\s\S]*?(<!-- end -->)/
  const table = settingsTable(airbyteSettings)
  return readFileSync(path('airbyte.md'), 'utf8').replace(between, (_, begin, end) => `${begin}\n${table}\n${end}`)
}

/** As pipelines of Conduit write it: times are durations there. */
function conduitTable(settings) {
  const rows = describeSettings(settings).map((one) => {
    const time = one.unit === 'ms'
    const type = one.choices?.map((choice) => `\`${choice}\``).join(', ') ?? (time ? 'duration' : one.type)
    const value = time ? formatDuration(one.default) : one.default
    const fallback = one.required ? '**required**' : value === undefined || value === '' ? '' : `\`${value}\``
    const example = one.example === undefined ? '' : ` Example: \`${one.example}\`.`
    return `| \`${one.name}\` | ${type} | ${fallback} | ${cell(one.description)}${cell(example)} |`
  })
  return `| setting | values | default | meaning |\n|---|---|---|---|\n${rows.join('\n')}\n`
}

/** The page is written by hand but for its tables. */
function conduitPage() {
  let page = readFileSync(path('conduit.md'), 'utf8')
  for (const [name, settings] of [
    ['source', conduitSourceSettings],
    ['destination', conduitDestinationSettings],
  ]) {
    const between = new RegExp(`(<!-- settings of the ${name}: [^\\n]*-->\\n)[\\s\\S]*?(<!-- end -->)`)
    if (!between.test(page)) throw new Error(`docs/conduit.md has no place for the settings of the ${name}`)
    page = page.replace(between, (_, begin, end) => `${begin}\n${conduitTable(settings)}\n${end}`)
  }
  return page
}

/** The page is written by hand but for its table. */
function httpPage() {
  const rows = Object.values(METRICS).map(
    ({ name, kind, labels, help }) =>
      `| \`${name}\` | ${kind} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${cell(help)} |`,
  )
  const table = `\n| metric | kind | labels | meaning |\n|---|---|---|---|\n${rows.join('\n')}\n\n`
  const between = /(<!-- metrics: [^\n]*-->\n)[\s\S]*?(<!-- end -->)/
  return readFileSync(path('http.md'), 'utf8').replace(between, (_, begin, end) => begin + table + end)
}

const pages = {
  'settings.md': settingsPage(),
  'errors.md': errorsPage(),
  'cli.md': cliPage(),
  'connections.md': connectionsPage(),
  'pipelines.md': pipelinesPage(),
  'http.md': httpPage(),
  'blink.md': blinkPage(),
  'processors.md': withSettings('processors.md', { processor: processorSettings }),
  ...typePages('processors', processorTypes),
  ...typePages('sinks', sinkTypes),
  'airbyte.md': airbytePage(),
  'conduit.md': conduitPage(),
}
for (const [name, text] of Object.entries(pages)) {
  if (!check) writeFileSync(path(name), text)
  else if (readFileSync(path(name), 'utf8') !== text) {
    console.error(`docs/${name} has drifted from the code: run \`npm run docs\``)
    process.exitCode = 1
  }
}
