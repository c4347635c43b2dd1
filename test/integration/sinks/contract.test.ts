import { mkdir, readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { fileSinkType } from '../../../src/sinks/file/fileSinkType.js'
import { postgresSinkType } from '../../../src/sinks/postgres/postgresSinkType.js'
import { websocketSinkType } from '../../../src/sinks/websocket/websocketSinkType.js'
import { CONTRACT_TABLE_SQL, type SinkTarget } from '../../../src/testing/index.js'
import { changesIn, testContract } from '../../support/contract.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { makeSink } from '../../support/sinkSettings.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { freePort, Peer, PersistentReader } from '../../support/websocketPeers.js'

const MAX_LINE_BYTES = 4000
const REJECTED = { rejectedNote: 'x'.repeat(MAX_LINE_BYTES) }

/** A file sink with these settings, in a folder of its own. */
async function fileTarget(settings: object, read: (folder: string) => Promise<string>): Promise<SinkTarget> {
  const folder = await temporaryFolder()
  const out = join(folder.path, 'out')
  return {
    make: () => makeSink(fileSinkType, { maxLineBytes: MAX_LINE_BYTES, ...settings }, { folder: out }),
    read: async () => changesIn(await read(out)),
    fail: async () => {
      await mkdir(out, { recursive: true })
      await rename(out, `${out}.away`)
      return () => rename(`${out}.away`, out)
    },
    dispose: () => folder[Symbol.asyncDispose](),
  }
}

const without = { 'back-pressure': 'a regular file always takes what is written' }

describe('file', () => {
  testContract('one file', {
    kind: 'log',
    ...REJECTED,
    target: () => fileTarget({ path: 'all.ndjson' }, (folder) => readFile(join(folder, 'all.ndjson'), 'utf8')),
    without,
  })

  testContract('compressed files, one behind the other', {
    kind: 'log',
    ...REJECTED,
    target: () =>
      fileTarget({ path: 'some-{number}.ndjson.gz', gzip: true, rotateBytes: 1024 }, async (folder) => {
        const names = (await readdir(folder)).filter((name) => name.startsWith('some-') && !name.endsWith('.lock'))
        const read = names.sort().map(async (name) => gunzipSync(await readFile(join(folder, name))).toString())
        return (await Promise.all(read)).join('')
      }),
    without,
  })
})

describe('postgres', () => {
  let server: EmbeddedPostgres
  let db: TestDatabase
  let checks = 0
  beforeAll(async () => {
    server = await startServer()
    db = await testDatabase(server, CONTRACT_TABLE_SQL)
  })
  afterAll(async () => {
    await db?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  testContract('rows of a table', {
    kind: 'rows',
    target: async () => {
      const pipeline = `contract_${checks++}`
      return {
        make: () => makeSink(postgresSinkType, { url: db.url }, { pipeline }),
        read: async () => {
          const rows = await db.query<{ id: string; version: number }>('SELECT id::text, version FROM contract')
          return rows.map(({ id, version }) => ({ key: id, version }))
        },
        crash: async () => {
          await db.query(
            `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
              WHERE datname = current_database() AND application_name = 'tailrace'`,
          )
        },
        hold: async () => {
          await db.query('BEGIN; LOCK TABLE contract IN ACCESS EXCLUSIVE MODE')
          return async () => {
            await db.query('COMMIT')
          }
        },
        fail: async () => {
          await db.query('ALTER TABLE contract RENAME TO away')
          return async () => {
            await db.query('ALTER TABLE away RENAME TO contract')
          }
        },
        dispose: async () => {
          await db.query('TRUNCATE contract')
        },
      }
    },
    without: { rejects: 'it puts rows aside itself, in the transaction of their batch' },
  })
})

describe('websocket', () => {
  const settings = { maxLineBytes: MAX_LINE_BYTES, windowBytes: 512 * 1024, frameBytes: 8192 }

  testContract('to a peer', {
    kind: 'log',
    ...REJECTED,
    target: async () => {
      const peer = await Peer.start()
      return {
        make: () => makeSink(websocketSinkType, { ...settings, url: peer.url }),
        read: async () => peer.keeper.changes,
        crash: () => peer.cut(),
        hold: async () => peer.keeper.hold(),
        fail: async () => {
          peer.cut()
          return () => {}
        },
        dispose: () => peer[Symbol.asyncDispose](),
      }
    },
  })

  testContract('to a reader that connects', {
    kind: 'log',
    ...REJECTED,
    target: async () => {
      const port = await freePort()
      const reader = new PersistentReader(`ws://127.0.0.1:${port}`)
      return {
        make: () => makeSink(websocketSinkType, { ...settings, listen: `127.0.0.1:${port}` }),
        read: async () => reader.keeper.changes,
        // In this process nobody else can end its listening.
        crash: (sink) => sink.close(),
        hold: async () => reader.keeper.hold(),
        dispose: () => reader[Symbol.asyncDispose](),
      }
    },
  })
})
