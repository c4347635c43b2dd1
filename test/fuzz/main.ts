import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Random } from '../chaos/random.js'
import { readCaptures } from '../support/pgoutputFixtures.js'
import { Drawing } from './draw.js'
import { type FuzzInput, formatInput, inputName, readCorpus } from './input.js'
import { minimise } from './minimise.js'
import { outcomesOf } from './outcomes.js'

const HELP = `Gives the decoders of pgoutput and of COPY recorded messages that were damaged, and compares them with slow twins.
What is not decoded alike, or not refused with MALFORMED_MESSAGE, is kept below --failures, and ends all with exit code 1.
What came to an outcome that no file in the corpus has is added to it; npm test gives all of the corpus once more.

  --seconds <n>      default 60
  --seed <n>         default by the clock; the corpus, too, decides what is drawn
  --failures <path>  default test/fuzz/failures
`

/** An input takes a millisecond or ten; a decoder that takes so long will not come back. */
const HANGS_MS = 30_000
const SLOW_MS = 5_000
const SAY_MS = 60_000
/** Shared with the watching thread: a count of inputs, then the length and the bytes of the one being tried. */
const SHARED_BYTES = 4 * 1024 * 1024
const HEADER_BYTES = 8
// npm starts scripts here, wherever this file was compiled to.
const ROOT = process.cwd()
const CORPUS = join(ROOT, 'test/fuzz/corpus')

interface Work {
  readonly seed: number
  readonly seconds: number
  readonly shared: SharedArrayBuffer
}

type Told =
  | { readonly kind: 'progress'; readonly inputs: number; readonly messages: number; readonly outcomes: number }
  | { readonly kind: 'kept'; readonly name: string; readonly outcome: string }
  | { readonly kind: 'failed'; readonly name: string; readonly text: string; readonly problem: string }
  | { readonly kind: 'done' }

if (isMainThread) watch()
else fuzz(workerData as Work)

function watch(): void {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(Date.now() % 1e9) },
      failures: { type: 'string', default: join(ROOT, 'test/fuzz/failures') },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(HELP)
    return
  }
  const shared = new SharedArrayBuffer(SHARED_BYTES)
  const work: Work = { seed: Number(values.seed), seconds: Number(values.seconds), shared }
  const begun = performance.now()
  const say = (line: string) =>
    console.log(`${String(Math.round((performance.now() - begun) / 1000)).padStart(5)} s  ${line}`)
  say(`seed ${work.seed}, Node ${process.version}, ${readCaptures(capturesFolder()).length} recorded streams`)
  const worker = new Worker(new URL(import.meta.url), { workerData: work })
  const fail = (name: string, text: string, problem: string) => {
    mkdirSync(values.failures, { recursive: true })
    const file = join(values.failures, name)
    writeFileSync(file, text)
    say(`FAILED: ${problem}\n         kept as ${relative(ROOT, file)}`)
    process.exitCode = 1
    void worker.terminate()
  }
  let beat = -1
  const watching = setInterval(() => {
    const now = Atomics.load(new Int32Array(shared), 0)
    if (now === beat) fail('hang.txt', sharedText(shared), `input ${now} takes more than ${HANGS_MS / 1000} s`)
    beat = now
  }, HANGS_MS)
  let last: Extract<Told, { kind: 'progress' }> | undefined
  worker.on('message', (told: Told) => {
    if (told.kind === 'kept') say(`new: ${told.outcome}  (${told.name})`)
    else if (told.kind === 'failed') fail(told.name, told.text, told.problem)
    else if (told.kind === 'progress') {
      last = told
      say(`${told.inputs} inputs, ${told.messages} messages, ${told.outcomes} outcomes`)
    } else say(`done: ${last?.inputs} inputs without a failure`)
  })
  worker.on('error', (error) => {
    say(`FAILED: ${error.stack}`)
    process.exitCode = 1
  })
  worker.on('exit', () => clearInterval(watching))
}

function capturesFolder(): string {
  return join(ROOT, 'test/fixtures/pgoutput')
}

function fuzz({ seed, seconds, shared }: Work): void {
  Error.stackTraceLimit = 0 // most of the time would go there
  const tell = (told: Told) => parentPort!.postMessage(told)
  const captures = readCaptures(capturesFolder())
  const originals = new Set(captures.flatMap(({ messages }) => messages))
  const isOriginal = (message: Buffer) => originals.has(message)
  const drawing = new Drawing(new Random(seed), captures)
  const seen = new Set<string>()
  for (const { input } of readCorpus(CORPUS)) {
    for (const outcome of outcomesOf(input)) seen.add(outcome)
    drawing.keep(input)
  }
  let inputs = 0
  let messages = 0
  const progress = () => tell({ kind: 'progress', inputs, messages, outcomes: seen.size })
  const begun = performance.now()
  for (let said = begun; performance.now() - begun < seconds * 1000; ) {
    const input = drawing.next()
    inputs++
    messages += input.messages.length
    share(shared, inputs, input)
    const started = performance.now()
    try {
      const outcomes = outcomesOf(input, isOriginal)
      if (performance.now() - started > SLOW_MS) throw new Error(`took more than ${SLOW_MS / 1000} s`)
      for (const outcome of outcomes) {
        if (seen.has(outcome)) continue
        seen.add(outcome)
        const kept = minimise(input, outcome)
        drawing.keep(kept)
        const name = inputName(kept)
        writeFileSync(join(CORPUS, name), formatInput(kept))
        tell({ kind: 'kept', name, outcome })
      }
    } catch (error) {
      tell({ kind: 'failed', name: inputName(input), text: formatInput(input), problem: String(error) })
      return
    }
    if (performance.now() - said < SAY_MS) continue
    said = performance.now()
    progress()
  }
  progress()
  tell({ kind: 'done' })
}

/** For the thread that watches: what is being tried, should this one never come back. */
function share(shared: SharedArrayBuffer, inputs: number, input: FuzzInput): void {
  const bytes = Buffer.from(formatInput(input)).subarray(0, SHARED_BYTES - HEADER_BYTES)
  new Uint8Array(shared, HEADER_BYTES).set(bytes)
  const header = new Int32Array(shared, 0, 2)
  header[1] = bytes.length
  Atomics.store(header, 0, inputs)
}

function sharedText(shared: SharedArrayBuffer): string {
  const length = new Int32Array(shared, 0, 2)[1]!
  return Buffer.from(new Uint8Array(shared, HEADER_BYTES, length)).toString()
}
