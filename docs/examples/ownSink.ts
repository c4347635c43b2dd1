import { type FileHandle, open } from 'node:fs/promises'
import { type Batch, runPipeline, type Sink, type SinkMark } from 'tailrace'

/** Lines of JSON in a file, each record once: what was not recorded is cut off. */
class LineFile implements Sink {
  readonly takesBack = true // as `open` does
  readonly #path: string
  #file: FileHandle | undefined

  constructor(path: string) {
    this.#path = path
  }

  async open(mark: SinkMark | undefined) {
    this.#file = await open(this.#path, 'a')
    if (mark != null) await this.#file.truncate(Number(mark.bytes))
  }

  async write(batch: Batch) {
    await this.#file!.appendFile(batch.toNdjson())
  }

  async flush(): Promise<SinkMark> {
    await this.#file!.sync() // only now it is safe …
    return { bytes: (await this.#file!.stat()).size } // … up to here
  }

  async close() {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }
}

const { sinks } = await runPipeline({
  name: 'orders_log',
  source: {
    url: process.env.DATABASE_URL ?? 'postgres://app@localhost/shop',
    tables: ['orders'],
    until: 'current', // ends when it has caught up; leave it out to go on for ever
  },
  sinks: {
    mine: new LineFile('orders.ndjson'),
    archive: { type: 'file', path: 'rows.ndjson', format: 'row' },
  },
})
for (const { name, records } of sinks) console.log(`${name} has ${records} records of this run`)
