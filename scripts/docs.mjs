// Writes the reference pages that are made from the code; with --check it fails if one of them has drifted.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import '../dist/core/errors.js'
import { describeSettings } from '../dist/core/setting.js'
import { definedErrors } from '../dist/core/tailraceError.js'
import { CONNECTION_PARAMETERS } from '../dist/postgres/connection/parameters.js'
import { sourceSettings } from '../dist/source/settings.js'

const check = process.argv.includes('--check')
const path = (name) => fileURLToPath(new URL(`../docs/${name}`, import.meta.url))
const cell = (text) => String(text).replaceAll('|', '\\|').replaceAll('\n', ' ')

function settingsPage() {
  const rows = describeSettings(sourceSettings).map((one) => {
    const type = one.choices === undefined ? one.type : one.choices.map((choice) => `\`${choice}\``).join(', ')
    const none = one.default === undefined || (Array.isArray(one.default) && one.default.length === 0)
    const fallback = one.required ? '**required**' : none ? '' : `\`${one.default}\`${one.unit ? ` ${one.unit}` : ''}`
    const example = one.example === undefined ? '' : ` Example: \`${one.example}\`.`
    return `| \`${one.name}\` | ${type} | ${fallback} | ${cell(one.description)}${cell(example)} |`
  })
  return `# Settings

Made from the code by \`npm run docs\`. Each is an option of \`PostgresSource\`; the command line has it as
\`--snapshot-workers\` for \`snapshotWorkers\` (\`--key\` for \`keys\`), and as a variable \`TAILRACE_SNAPSHOT_WORKERS\`.

| setting | values | default | meaning |
|---|---|---|---|
${rows.join('\n')}
`
}

/** Stands for a fact of an error that only an occurrence has: whatever is asked of it, it prints its name. */
function fact(name) {
  return new Proxy(() => fact(name), {
    get: (_, property) =>
      property === Symbol.toPrimitive ? () => `‹${name}›` : property === 'length' ? 1 : fact(name),
  })
}

function errorsPage() {
  const facts = new Proxy({ value: '‹value›' }, { get: (known, name) => known[name] ?? fact(String(name)) })
  const retries = { later: 'trying again may help', operator: 'somebody must act first', never: 'please report it' }
  const sections = [...definedErrors.values()].map(({ code, definition }) => {
    const hint = typeof definition.hint === 'string' ? definition.hint : definition.hint(facts)
    return `## ${code}\n\n${definition.message(facts)}\n\n- What to do: ${hint}\n- Retry: ${retries[definition.retry]}\n`
  })
  return `# Errors

Made from the code by \`npm run docs\`. Every error has a stable \`code\`, a \`message\` with the values, a \`hint\`, its facts
in \`details\`, and the server's or Node's own error as \`cause\`. What stands in ‹› differs from one occurrence to another.

${sections.join('\n')}`
}

function cliPage() {
  const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
  const help = (...args) =>
    execFileSync(process.execPath, [main, ...args, '--help'], { encoding: 'utf8', env: { COLUMNS: '100' } })
  const signals = ['status', 'add', 'remove', 'resnapshot'].map((name) => ['signal', name])
  const names = [['stream'], ['doctor'], ['slots'], ['slots', 'drop'], ['signal'], ...signals, ['demo']]
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

const pages = {
  'settings.md': settingsPage(),
  'errors.md': errorsPage(),
  'cli.md': cliPage(),
  'connections.md': connectionsPage(),
}
for (const [name, text] of Object.entries(pages)) {
  if (!check) writeFileSync(path(name), text)
  else if (readFileSync(path(name), 'utf8') !== text) {
    console.error(`docs/${name} has drifted from the code: run \`npm run docs\``)
    process.exitCode = 1
  }
}
