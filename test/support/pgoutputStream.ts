import type pg from 'pg'
import type { TestDatabase } from './database.js'
import { waitFor } from './waitFor.js'

const XLOG_DATA = 0x77 // 'w'
const XLOG_DATA_HEADER = 25

/** Standby status update with no LSN in it, which confirms nothing. */
const STATUS = Buffer.alloc(34)
STATUS[0] = 0x72 // 'r'

interface Connection extends NodeJS.EventEmitter {
  sendCopyFromChunk(chunk: Buffer): void
}

/** The settings that tailrace asks for, so that values come in the form it gets; and the least memory, to stream early. */
const SETTINGS = {
  TimeZone: 'UTC',
  DateStyle: 'ISO',
  IntervalStyle: 'iso_8601',
  extra_float_digits: '3',
  bytea_output: 'hex',
  logical_decoding_work_mem: '64kB',
}

/** Keeps every message that a walsender sends for a slot. Confirms nothing; ends with the database's connections. */
export class PgoutputStream {
  /** The payload of each XLogData. */
  readonly messages: Buffer[] = []
  readonly #connection: Connection
  #failure: unknown

  private constructor(connection: Connection) {
    this.#connection = connection
    connection.on('copyData', ({ chunk }: { chunk: Buffer }) => {
      if (chunk[0] === XLOG_DATA) this.messages.push(Buffer.from(chunk.subarray(XLOG_DATA_HEADER)))
    })
  }

  /** `options` of the plugin, as in START_REPLICATION. */
  static async start(db: TestDatabase, slot: string, options: Record<string, string>): Promise<PgoutputStream> {
    const settings = Object.entries(SETTINGS).map(([name, value]) => `-c ${name}=${value}`)
    const config = { replication: 'database', options: settings.join(' ') }
    const client = (await db.connect(config)) as pg.Client & { connection: Connection }
    const stream = new PgoutputStream(client.connection)
    const given = Object.entries(options).map(([name, value]) => `${name} '${value}'`)
    client.query(`START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (${given.join(', ')})`).catch((error) => {
      stream.#failure = error
    })
    return stream
  }

  /**
   * Until a message came that contains `text`. From version 16 on a walsender sleeps through one commit in some
   * thousands, until its next keepalive is due or it hears from us: so we speak.
   */
  async received(text: string): Promise<void> {
    const arrived = () => {
      if (this.#failure !== undefined) throw this.#failure
      this.#connection.sendCopyFromChunk(STATUS)
      return this.messages.some((message) => message.includes(text))
    }
    await waitFor(arrived, { what: `a pgoutput message with "${text}"` })
  }
}
