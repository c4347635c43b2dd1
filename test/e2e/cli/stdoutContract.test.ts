import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { changesIn } from '../../support/contract.js'
import { waitFor } from '../../support/waitFor.js'

const dist = (path: string) => JSON.stringify(fileURLToPath(new URL(`../../../dist/${path}`, import.meta.url)))

/** Standard output is the whole process's: all checks in one whose output we read, and which asks us what we have. */
const PROGRAM = `
import { stdoutSinkType } from ${dist('sinks/stdout/stdoutSink.js')}
import { sinkContract } from ${dist('testing/index.js')}

const ask = (question) => new Promise((resolve) => {
  process.once('message', resolve)
  process.send({ ...question, bytes: process.stdout.bytesWritten })
})
const place = { folder: '/', pipeline: 'contract', sink: 'screen' }
const checks = sinkContract({
  kind: 'log',
  rejectedNote: 'x'.repeat(4000),
  target: async () => {
    await ask({ question: 'begin' })
    return {
      make: () => stdoutSinkType.create({ format: 'tailrace', maxLineBytes: 4000 }, place),
      read: () => ask({ question: 'read' }),
      hold: async () => {
        await ask({ question: 'hold' })
        return () => ask({ question: 'release' })
      },
    }
  },
})
const outcomes = {}
for (const { name, run } of checks) outcomes[name] = await run().then(() => 'passed', (error) => error.message)
await ask({ question: 'end', outcomes })
process.disconnect()
`

interface Question {
  readonly question: 'begin' | 'read' | 'hold' | 'release' | 'end'
  /** That it has written so far. */
  readonly bytes: number
  readonly outcomes?: Record<string, string>
}

test('stdout passes what is checked of a sink', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const chunks: Buffer[] = []
  let [bytes, begun] = [0, 0]
  child.stdout!.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
  })
  let outcomes: Record<string, string> | undefined
  child.on('message', async (asked: Question) => {
    if (asked.question === 'hold') child.stdout!.pause()
    else child.stdout!.resume()
    // What the system took comes to us, sooner or later.
    if (asked.question !== 'hold') await waitFor(() => bytes >= asked.bytes, { what: 'what was written' })
    if (asked.question === 'begin') begun = bytes
    if (asked.question === 'end') outcomes = asked.outcomes
    const text = Buffer.concat(chunks).subarray(begun).toString()
    child.send(asked.question === 'read' ? changesIn(text) : 'done')
  })
  await once(child, 'close')
  expect(outcomes).toEqual({
    'order per key': 'passed',
    'no ack before durable': 'passed',
    'at least once': 'passed',
    'opened again': 'passed',
    'back-pressure': 'passed',
    close: 'passed',
    rejects: 'passed',
  })
})
