import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cliPath } from './cli.js'
import { waitFor } from './waitFor.js'

const run = promisify(execFile)

/** A page of docs/, whose blocks are run: each stands behind a line `<!-- run: name -->` or `<!-- says: name -->`. */
export class DocPage {
  readonly text: string
  readonly #blocks: ReadonlyMap<string, string>
  readonly #unused: Set<string>

  static async read(name: string): Promise<DocPage> {
    return new DocPage(await readFile(new URL(`../../docs/${name}`, import.meta.url), 'utf8'))
  }

  constructor(text: string) {
    this.text = text
    const found = [...text.matchAll(/<!-- ((?:run|says): [\w-]+) -->\n\n```\w*\n([\s\S]*?)```/g)]
    this.#blocks = new Map(found.map(([, name, block]) => [name!, block!]))
    this.#unused = new Set(this.#blocks.keys())
    if (this.#blocks.size !== found.length) throw new Error('two blocks have one name')
  }

  /** What stands in the block to be run. */
  command(name: string): string {
    return this.#block(`run: ${name}`).trimEnd()
  }

  /** What the run says there: as a pattern for it, in which numbers, LSNs and `…` stand for any. */
  said(name: string): RegExp {
    const lines = this.#block(`says: ${name}`).trimEnd()
    const escaped = lines.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    return new RegExp(
      escaped
        .replace(/[\dA-F]+\/[\dA-F]+/g, '[\\dA-F]+/[\\dA-F]+')
        .replace(/(?<![\w\\])\d+(\\\.\d+)?(?!\w)/g, '[\\d.]+')
        .replaceAll('…', '[^\\n]*')
        .replaceAll('\n', '\\n'),
    )
  }

  /** Blocks that no test has asked for. */
  get unused(): readonly string[] {
    return [...this.#unused]
  }

  #block(name: string): string {
    const block = this.#blocks.get(name)
    if (block === undefined) throw new Error(`the page has no block "${name}"`)
    this.#unused.delete(name)
    return block
  }
}

/** A shell in a folder, which knows `tailrace`, and another server by the URL of the docs. */
export class DocShell implements AsyncDisposable {
  readonly #folder: string
  readonly #env: NodeJS.ProcessEnv
  readonly #edit: (text: string) => string
  readonly #started: StartedCommand[] = []

  static async open(folder: string, edit = (text: string) => text): Promise<DocShell> {
    const bin = join(folder, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'tailrace'), `#!/bin/sh\nexec "${process.execPath}" "${cliPath}" "$@"\n`)
    await chmod(join(bin, 'tailrace'), 0o755)
    return new DocShell(folder, edit)
  }

  private constructor(folder: string, edit: (text: string) => string) {
    this.#folder = folder
    // A page shows what is seen on a terminal.
    this.#env = { ...process.env, TAILRACE_LOG: 'text', PATH: `${join(folder, 'bin')}:${process.env.PATH}` }
    this.#edit = edit
  }

  /** Runs it to its end; an exit code other than 0 is an error, with `code` and `stderr`. */
  sh(command: string): Promise<{ stdout: string; stderr: string }> {
    return run('/bin/sh', ['-e', '-c', this.#edit(command)], { cwd: this.#folder, env: this.#env })
  }

  /** Starts one command, which runs until it is stopped; the scope's end kills it. */
  start(command: string): StartedCommand {
    const child = spawn('/bin/sh', ['-c', `exec ${this.#edit(command)}`], { cwd: this.#folder, env: this.#env })
    const started = new StartedCommand(child)
    this.#started.push(started)
    return started
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#started) await one.stop('SIGKILL')
  }
}

export class StartedCommand {
  readonly ended: Promise<number | null>
  stdout = ''
  stderr = ''
  readonly #child: ChildProcess

  constructor(child: ChildProcess) {
    this.#child = child
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.ended = once(child, 'close').then(([code]) => code)
  }

  async says(what: string | RegExp, timeoutMs = 20_000): Promise<void> {
    const said = () => (typeof what === 'string' ? this.stderr.includes(what) : what.test(this.stderr))
    const orEnded = async () => said() || (this.#child.exitCode !== null && (await this.ended.then(() => true)))
    await waitFor(orEnded, { what: `${what}`, timeoutMs }).catch((error: Error) => {
      throw new Error(`${error.message}; it said:\n${this.stderr}`)
    })
    if (!said()) throw new Error(`it ended without ${what}; it said:\n${this.stderr}`)
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(signal)
    await this.ended
  }
}
