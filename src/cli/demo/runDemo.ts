import { sleep } from '../../core/abort.js'
import { Signals } from '../signals.js'
import { openShop } from './shop.js'
import { openShopSession, shopUrl, startShopServer } from './shopServer.js'
import { Terminal } from './terminal.js'
import { type Outcome, watchShop } from './watchShop.js'

export interface DemoOptions {
  readonly seconds?: number
  readonly rate: number
}

/** For the same reason as ORDERED_END_MS of watchShop.ts. */
const LAST_WORDS_MS = 1000

/** Runs `tailrace demo`; gives the exit code. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const signals = new Signals()
  forgetVariables()
  try {
    const terminal = new Terminal(process.stdout)
    const outcome = await openAndWatch(options, terminal, signals.signal)
    await Promise.race([terminal.say('', summary(outcome)), sleep(LAST_WORDS_MS)])
    return 0
  } catch (error) {
    // Ended while the server started.
    if (signals.signal.aborted && error === signals.signal.reason) return 0
    throw error
  } finally {
    signals.release()
  }
}

async function openAndWatch({ seconds, rate }: DemoOptions, terminal: Terminal, signal: AbortSignal): Promise<Outcome> {
  await terminal.say('tailrace demo: starting PostgreSQL in a temporary folder …')
  const server = await startShopServer(signal)
  try {
    const session = await openShopSession(server, signal)
    const version = await openShop(session)
    await terminal.say(
      `PostgreSQL ${version} with a small shop, in ${server.folder}`,
      `Change something in it: psql ${shopUrl(server)}`,
      'Ctrl-C ends the demo and leaves nothing behind.',
    )
    return await watchShop({ url: `${shopUrl(server)}?sslmode=disable`, session, rate, seconds, terminal, signal })
  } finally {
    await server[Symbol.asyncDispose]()
  }
}

/** What the PG* variables say is about another server than the demo's own. */
function forgetVariables(): void {
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('PG')) delete process.env[name]
  }
}

function summary({ snapshotRecords, changeRecords, seconds }: Outcome): string {
  const snapshot = `${snapshotRecords.toLocaleString('en-US')} snapshot records`
  const changes = `${changeRecords.toLocaleString('en-US')} change records`
  return `saw ${snapshot} and ${changes} in ${seconds.toFixed(1)} s`
}
