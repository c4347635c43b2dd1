import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { configureLog } from '../../src/cli/log.js'
import { run } from '../../src/cli/program.js'
import { Output } from '../../src/sinks/files/output.js'
import { parseLines, type TailraceOptions, type TailraceResult } from './tailrace.js'
import { temporaryFolder } from './temporaryFolder.js'

let last: Promise<unknown> = Promise.resolve()

/**
 * Runs the command to its end as `tailrace` of tailrace.ts does, but in this process: a process of its own takes 0.25 s of
 * processor time, which is most of what a short run takes. One at a time, since they share what they write to. For what
 * ends by itself: not where signals, the end of a process, `--log json` or much output is the matter.
 */
export function tailraceHere(
  args: readonly string[],
  options: Pick<TailraceOptions, 'env'> = {},
): Promise<TailraceResult> {
  const result = last.then(() => runHere(args, { TAILRACE_LOG: 'text', ...options.env }))
  last = result.catch(() => {})
  return result
}

async function runHere(args: readonly string[], env: NonNullable<TailraceOptions['env']>): Promise<TailraceResult> {
  const outer = Object.fromEntries(Object.keys(env).map((name) => [name, process.env[name]]))
  await using records = await recordsOfRun()
  const [out, err] = [capture(process.stdout), capture(process.stderr)]
  setVariables(env)
  let code: number
  try {
    configureLog({ format: 'text', level: 'info' })
    code = await run([process.execPath, 'tailrace', ...args])
  } finally {
    setVariables(outer)
    out.end()
    err.end()
  }
  const stdout = out.text + (await records.text())
  return {
    ...{ code, signal: null, stdout, stderr: err.text },
    get records() {
      return parseLines(stdout)
    },
  }
}

function setVariables(env: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
}

/** What is written to the descriptor of standard output until the end of the scope. */
async function recordsOfRun() {
  const folder = await temporaryFolder()
  const path = join(folder.path, 'stdout')
  const file = await open(path, 'a')
  const { stdout } = Output
  // Where it goes is another place, and all else as there.
  Output.stdout = () => Reflect.construct(Output, [file, 'standard output', false, 0]) as Output
  return {
    text: () => readFile(path, 'utf8'),
    async [Symbol.asyncDispose]() {
      Output.stdout = stdout
      await file.close()
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** What is written to the stream until its end. */
function capture(stream: NodeJS.WriteStream) {
  const { write } = stream
  const listeners = stream.listeners('error')
  const captured = {
    text: '',
    end() {
      stream.write = write
      for (const listener of stream.listeners('error') as ((error: Error) => void)[]) {
        if (!listeners.includes(listener)) stream.off('error', listener)
      }
    },
  }
  stream.write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
    captured.text += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()
    const done = rest.at(-1)
    if (typeof done === 'function') process.nextTick(done as () => void)
    return true
  }
  return captured
}
