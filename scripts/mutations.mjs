// `npm run mutations`: breaks one rule of the design at a time, in a copy, and shows which test sees it. `--only <text>`
// takes those whose rule holds it; `--baseline` only runs the tests that shall see something, unbroken.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { MUTATIONS } from './mutations/list.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const COPIED = ['src', 'test', 'scripts', 'package.json', 'tsconfig.json', 'vitest.config.ts']
/** A test that hangs sees nothing. */
const TIMEOUT_MS = 300_000

const { values } = parseArgs({
  options: { only: { type: 'string' }, baseline: { type: 'boolean', default: false }, log: { type: 'string' } },
})

const wanted = MUTATIONS.filter(({ rule, name }) => `${rule} ${name}`.includes(values.only ?? ''))
const scratch = mkdtempSync(join(tmpdir(), 'tailrace-mutations-'))
try {
  for (const name of COPIED) cpSync(join(root, name), join(scratch, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(scratch, 'node_modules'))
  process.exitCode = values.baseline ? baseline() : mutations()
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

function mutations() {
  for (const mutation of wanted) restore(mutate(mutation))
  if (baseline() !== 0) return 1
  const rows = []
  for (const mutation of wanted) {
    const began = performance.now()
    const sources = mutate(mutation)
    const { caughtBy, trouble } = run(mutation)
    restore(sources)
    const seconds = `${Math.round((performance.now() - began) / 1000)} s`
    rows.push([mutation.rule, mutation.name, caughtBy ?? `**not seen**${trouble}`, seconds])
    process.stderr.write(
      `${caughtBy === undefined ? 'NOT SEEN' : 'seen'} (${seconds}): ${mutation.rule}: ${mutation.name}${trouble}\n`,
    )
  }
  const table = tableOf(['rule', 'mutation', 'seen by', 'time'], rows)
  process.stdout.write(table)
  if (values.log !== undefined) writeFileSync(values.log, table)
  return rows.some(([, , caughtBy]) => caughtBy.startsWith('**')) ? 1 : 0
}

/** A test that fails without a mutation proves nothing. */
function baseline() {
  const runs = new Map(
    wanted.flatMap(({ tests, filter }) => tests.map((file) => [`${file} ${filter ?? ''}`, { file, filter }])),
  )
  const problems = []
  for (const { file, filter } of runs.values()) {
    const { failed, trouble } = vitest(file, filter)
    problems.push(...failed.map((title) => `${file}: ${title}`), ...(trouble === '' ? [] : [`${file}${trouble}`]))
  }
  for (const problem of problems) process.stderr.write(`fails without a mutation: ${problem}\n`)
  if (problems.length === 0) process.stderr.write(`without a mutation ${runs.size} runs pass\n`)
  return problems.length === 0 ? 0 : 1
}

/** Each text must stand there exactly once: a rule that moved is to be found again, not passed over. Gives what was. */
function mutate({ name, edits }) {
  const before = new Map()
  for (const { file, from, to } of edits) {
    const path = join(scratch, file)
    const text = readFileSync(path, 'utf8')
    if (!before.has(file)) before.set(file, text)
    const count = text.split(from).length - 1
    if (count !== 1) throw new Error(`${name}: stands ${count} times in ${file}, not once:\n${from}`)
    writeFileSync(
      path,
      text.replace(from, () => to),
    )
  }
  return before
}

function restore(sources) {
  for (const [file, text] of sources) writeFileSync(join(scratch, file), text)
}

/** The first test that fails; one file after the other, the most specific first. */
function run({ tests, filter, built }) {
  if (built) {
    const build = spawnSync('node', ['scripts/build.mjs'], { cwd: scratch, encoding: 'utf8' })
    if (build.status !== 0) return { trouble: `: it does not build: ${build.stdout}${build.stderr}` }
  }
  let troubles = ''
  for (const file of tests) {
    const { failed, trouble } = vitest(file, filter)
    if (failed.length > 0) return { caughtBy: `${file.replace('test/', '')}: ${failed[0]}`, trouble: '' }
    troubles += trouble
  }
  return { trouble: troubles }
}

/** Which tests failed, twice: a busy machine may fail one once. A file that cannot even be read is trouble, and proves nothing. */
function vitest(file, filter) {
  const report = join(scratch, 'report.json')
  rmSync(report, { force: true })
  const only = filter === undefined ? [] : ['-t', filter]
  const args = [
    'vitest',
    'run',
    file,
    ...only,
    '--maxWorkers=1',
    '--retry=1',
    '--reporter=json',
    `--outputFile=${report}`,
  ]
  const env = { TAILRACE_TEST_MAJORS: '17', ...process.env }
  const { error } = spawnSync('npx', args, { cwd: scratch, env, encoding: 'utf8', timeout: TIMEOUT_MS })
  if (error !== undefined) return { failed: [], trouble: `: ${error.message}` }
  const { testResults } = JSON.parse(readFileSync(report, 'utf8'))
  const broken = testResults.filter(({ assertionResults }) => assertionResults.length === 0)
  const failed = testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => status === 'failed').map(({ title }) => title),
  )
  return { failed, trouble: broken.map(({ message }) => `: ${message.split('\n')[0]}`).join('') }
}

function tableOf(head, rows) {
  const line = (cells) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |\n`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('')
}
