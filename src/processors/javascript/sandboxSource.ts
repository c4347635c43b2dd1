/**
 * What the worker thread of a sandboxed `javascript` processor runs: the same as without the sandbox, but that the function
 * lives in an engine of its own, which has nothing but the language.
 *
 * Gets `{ library, guest, code | file, timeoutMs, memoryMb }` as workerData, says `{ ready }` or `{ failed }` once, then answers
 * each list of records with a list of what became of them, or with why it cannot go on: `{ ended }`.
 */
export const SANDBOX_SOURCE = `
const { parentPort, workerData } = require('node:worker_threads')
const { readFileSync } = require('node:fs')
const { randomUUID } = require('node:crypto')
const { library, guest, code, file, timeoutMs, memoryMb } = workerData
const progress = new Int32Array(workerData.progress)

const STACK_BYTES = 256 * 1024
const READ_MS = 5000
const LINES = 1000
const LATE = 'it took longer than timeout_ms (' + timeoutMs + ') allows'
const LARGE = 'it needed more memory than memory_mb (' + memoryMb + ') allows'
const BROKEN = 'it has broken what it runs in'

const tag = randomUUID()
let deadline = Infinity
let isLate = false
let lines = 0
let last = -1
let isTagged = false
const within = (ms) => { deadline = performance.now() + ms }
const isObject = (value) => typeof value === 'object' && value !== null
const tagged = (kind, text) => { isTagged = true; return { [tag]: [kind, text] } }

function replace(_, value) {
  switch (typeof value) {
    case 'bigint': return tagged('bigint', String(value))
    case 'number': return Number.isFinite(value) && !Object.is(value, -0) ? value : tagged('number', Object.is(value, -0) ? '-0' : String(value))
    case 'object': return value instanceof Uint8Array ? tagged('bytes', Buffer.from(value).toString('hex')) : value
    default: return value
  }
}
function revive(_, value) {
  if (!isObject(value) || !Object.hasOwn(value, tag)) return value
  const [kind, text] = value[tag]
  if (kind === 'bigint') return BigInt(text)
  return kind === 'number' ? Number(text) : new Uint8Array(Buffer.from(text, 'hex'))
}
/** Whatever the function has done to its engine. */
function checked(one) {
  if (!isObject(one)) return { failure: BROKEN }
  if (one.drop === true) return { drop: true }
  if (typeof one.failure === 'string') return { failure: one.failure }
  const { before, after } = one
  return isObject(before) && isObject(after) ? { before, after } : { failure: BROKEN }
}

async function start() {
  const runtime = (await require(library).getQuickJS()).newRuntime()
  runtime.setMemoryLimit(memoryMb * 1024 * 1024)
  runtime.setMaxStackSize(STACK_BYTES)
  runtime.setInterruptHandler(() => (isLate ||= performance.now() > deadline))
  const context = runtime.newContext()
  const messageOf = (handle) => {
    const error = context.dump(handle)
    handle.dispose()
    const message = String((isObject(error) && error.message) || error)
    return isLate ? LATE : message === 'out of memory' ? LARGE : message
  }
  const handleOf = (result) => {
    if (result.error) throw new Error(messageOf(result.error))
    return result.value
  }
  /** What a promise is resolved with, or throws. */
  const settled = (promise) => {
    for (;;) {
      const state = context.getPromiseState(promise)
      if (state.type === 'fulfilled') return state.value
      if (state.type === 'rejected') throw new Error(messageOf(state.error))
      if (!runtime.hasPendingJob()) throw new Error('it waits for what never comes')
      const done = runtime.executePendingJobs(1)
      if (done.error) throw new Error(messageOf(done.error))
      done.dispose?.()
    }
  }
  const called = (handle, ...values) => handleOf(context.callFunction(handle, context.undefined, ...values))

  const begin = context.newFunction('begin', (index) => {
    const at = context.getNumber(index)
    if (at !== last + 1 || isLate) return
    last = at
    Atomics.store(progress, 0, at)
    within(timeoutMs)
  })
  const print = context.newFunction('print', (text) => {
    if (++lines <= LINES) process.stderr.write(context.getString(text).slice(0, 2000) + '\\n')
  })
  within(READ_MS)
  const prepare = called(handleOf(context.evalCode(guest, 'tailrace.js')), begin, print, context.newString(tag))
  within(Math.max(timeoutMs, 1000))
  const source = file === undefined ? code : readFileSync(file, 'utf8')
  const module = settled(handleOf(context.evalCode(source, file ?? 'code', { type: 'module' })))
  const run = called(prepare, context.getProp(module, 'default'))

  return (records) => {
    isTagged = false
    const text = context.newString(JSON.stringify(records, replace))
    const count = context.newNumber(records.length)
    last = -1
    lines = 0
    within(READ_MS)
    const promise = called(run, text, isTagged ? context.true : context.false, count)
    const made = settled(promise)
    const outcomes = JSON.parse(context.getString(made), revive)
    for (const handle of [text, count, promise, made]) handle.dispose()
    if (isLate) throw new Error(LATE)
    return records.map((_, index) => checked(outcomes[index]))
  }
}

const told = (error) => {
  const message = String((error && error.message) || error)
  return isLate ? LATE : error instanceof RangeError || error instanceof WebAssembly.RuntimeError ? 'it has ended its engine: ' + message : message
}
start().then((run) => {
  parentPort.on('message', (records) => {
    try {
      const outcomes = run(records)
      Atomics.store(progress, 0, -1)
      parentPort.postMessage({ outcomes })
    } catch (error) {
      parentPort.postMessage({ ended: told(error) })
    }
  })
  parentPort.postMessage({ ready: true })
}).catch((error) => parentPort.postMessage({ failed: told(error) }))
`
