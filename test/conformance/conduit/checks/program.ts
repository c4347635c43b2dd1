import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../../../src/cli/embedded/port.js'
import { waitFor } from '../../../support/waitFor.js'
import { type Bench, type Check, databases, expect, SAME_TABLE, verifyEqual } from '../check.js'

const ROWS = 100_000
const ALL_WITHIN_MS = 300_000
const SQL = `CREATE TABLE employees (id int4 PRIMARY KEY, name text NOT NULL, salary numeric(10, 2) NOT NULL);
  INSERT INTO employees SELECT n, 'employee ' || n, n / 7.0 FROM generate_series(1, ${ROWS}) n`
const EMPTY = 'CREATE TABLE employees (id int4 PRIMARY KEY, name text NOT NULL, salary numeric(10, 2) NOT NULL)'

/**
 * The program itself, where `CONDUIT_BIN` names it: pipelines of its own files. Written from its documents; nobody has had
 * the program to run this with yet.
 */
export function programChecks(binary: string): readonly Check[] {
  return [
    {
      name: 'the Conduit program lists the plugin, and runs it into a file',
      run: (bench) => toFile(bench, binary, 'standalone:tailrace'),
    },
    {
      name: 'the Conduit program runs ours into ours: two databases equal',
      run: (bench) => toOurs(bench, binary),
    },
    {
      name: "the rate of Conduit's own Postgres connector, beside",
      run: (bench) => toFile(bench, binary, 'builtin:postgres'),
    },
  ]
}

async function toFile(bench: Bench, binary: string, plugin: string): Promise<string> {
  await using dbs = await databases(bench, SQL, EMPTY)
  const folder = join(bench.folder, `program-${dbs.from.name}`)
  const out = join(folder, 'out.jsonl')
  const destination = { plugin: 'builtin:file', settings: { path: out } }
  await using conduit = await Conduit.started(
    bench,
    binary,
    folder,
    { plugin, settings: from(dbs.from.url) },
    destination,
  )
  if (plugin === 'standalone:tailrace') {
    const listed = JSON.stringify(await conduit.get('/v1/connectors/plugins?name=.*tailrace.*'))
    expect(listed.includes('logrepl.slotName'), `it is not listed with its parameters: ${listed.slice(0, 500)}`)
  }
  const lines = () => (existsSync(out) ? readFileSync(out, 'latin1').split('\n').length - 1 : 0)
  const seconds = await conduit.until(() => lines() >= ROWS, 'all rows in the file')
  await dbs.from.query("UPDATE employees SET name = 'changed' WHERE id = 1; DELETE FROM employees WHERE id = 2")
  await conduit.until(() => lines() >= ROWS + 2, 'the changes in the file')
  return `${Math.round(ROWS / seconds).toLocaleString('en-US')} rows a second, from its start`
}

async function toOurs(bench: Bench, binary: string): Promise<string> {
  await using dbs = await databases(bench, SQL, EMPTY)
  const folder = join(bench.folder, `program-${dbs.from.name}`)
  const source = { plugin: 'standalone:tailrace', settings: from(dbs.from.url) }
  const destination = { plugin: 'standalone:tailrace', settings: { url: dbs.to.url, table: SAME_TABLE } }
  await using conduit = await Conduit.started(bench, binary, folder, source, destination)
  const count = async () => (await dbs.to.query('SELECT count(*)::int4 AS n FROM employees'))[0]!.n as number
  const seconds = await conduit.until(async () => (await count()) === ROWS, 'all rows at the target')
  await dbs.from.query("UPDATE employees SET name = 'changed' WHERE id = 1; DELETE FROM employees WHERE id = 2")
  await conduit.until(async () => (await count()) === ROWS - 1, 'the changes at the target')
  await verifyEqual(dbs.from.url, dbs.to.url, 'employees')
  return `${Math.round(ROWS / seconds).toLocaleString('en-US')} rows a second, from its start`
}

function from(url: string) {
  const name = `program_${new URL(url).pathname.slice(1)}`
  return {
    url,
    tables: 'employees',
    'logrepl.slotName': name,
    'logrepl.publicationName': name,
    'sdk.batch.size': '1000',
  }
}

interface Connector {
  readonly plugin: string
  readonly settings: Readonly<Record<string, string>>
}

/** The program with one pipeline. */
class Conduit implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #api: string
  readonly #began = performance.now()
  #log = ''

  private constructor(child: ChildProcess, api: string) {
    this.#child = child
    this.#api = api
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#log = (this.#log + text).slice(-10_000)
      })
    }
  }

  static async started(bench: Bench, binary: string, folder: string, source: Connector, destination: Connector) {
    for (const name of ['connectors', 'pipelines']) mkdirSync(join(folder, name), { recursive: true })
    symlinkSync(bench.plugin, join(folder, 'connectors', 'tailrace-conduit'))
    const connectors = [
      { id: 'from', type: 'source', ...source },
      { id: 'to', type: 'destination', ...destination },
    ]
    const pipelines = [{ id: 'conformance', status: 'running', connectors }]
    // JSON is YAML, too.
    writeFileSync(join(folder, 'pipelines', 'one.yaml'), JSON.stringify({ version: '2.2', pipelines }))
    const address = `127.0.0.1:${await freePort()}`
    const args = ['run', '--connectors.path', join(folder, 'connectors'), '--pipelines.path', join(folder, 'pipelines')]
    const more = ['--db.type', 'inmemory', '--api.http.address', address, '--api.grpc.address', '127.0.0.1:0']
    const child = spawn(binary, [...args, ...more], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    return new Conduit(child, `http://${address}`)
  }

  async get(path: string): Promise<unknown> {
    const answer = () => fetch(`${this.#api}${path}`).catch(() => undefined)
    const response = await waitFor(answer, { what: 'the API of Conduit', timeoutMs: 60_000 })
    return response.json()
  }

  /** Seconds since its start until it is so. */
  async until(is: () => boolean | Promise<boolean>, what: string): Promise<number> {
    const orEnded = async () => (await is()) || this.#child.exitCode !== null
    await waitFor(orEnded, { what, timeoutMs: ALL_WITHIN_MS, intervalMs: 100 }).catch((error: Error) => {
      throw new Error(`${error.message}; Conduit said:\n${this.#log.slice(-3000)}`)
    })
    if (!(await is())) throw new Error(`before ${what} Conduit ended:\n${this.#log.slice(-3000)}`)
    return (performance.now() - this.#began) / 1000
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 35_000)
    await ended
    clearTimeout(late)
  }
}
