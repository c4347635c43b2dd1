import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EmbeddedPostgres } from '../../src/cli/embedded/server.js'
import type { Status } from '../../src/homes/pipeline/status/status.js'
import { type TestDatabase, testDatabase } from './database.js'
import { startTailrace, type TailraceProcess } from './tailrace.js'
import { temporaryFolder } from './temporaryFolder.js'

const ORDERS = (check: string) =>
  `CREATE TABLE orders (id int PRIMARY KEY, customer text NOT NULL, total numeric(10, 2) ${check}, placed_at timestamptz)`
const STOCK = 'CREATE TABLE stock (id int PRIMARY KEY, amount int)'

const SHOP = `
source: {url: "\${SHOP_URL}", tables: orders, slot: "\${SLOT}_shop", publication: shop, wal_budget_bytes: 1073741824}
sinks:
  archive: {type: file, path: archive.ndjson}
  copy: {type: postgres, url: "\${COPY_URL}", on_error: dead-letter}
`
const WAREHOUSE = `
source: {url: "\${SHOP_URL}", tables: stock, slot: "\${SLOT}_warehouse", publication: warehouse}
sinks:
  mirror: {type: postgres, url: "\${COPY_URL}", source: warehouse, on_error: retry, retry: {first_ms: 1000, max_ms: 2000}}
`

/** Two pipelines in one process, whose page is looked at. */
export class PageShop implements AsyncDisposable {
  readonly source: TestDatabase
  readonly target: TestDatabase
  readonly running: TailraceProcess
  readonly #folder: AsyncDisposable

  /** Its databases have these names, where pictures are taken of them. */
  static async open(server: EmbeddedPostgres, rows: number, names: readonly string[] = []): Promise<PageShop> {
    const insert = `INSERT INTO orders SELECT n, 'customer ' || n % 97, n % 900 + 0.5, now() FROM generate_series(1, ${rows}) n`
    const source = await testDatabase(server, `${ORDERS('')}; ${STOCK}; ${insert}; ANALYZE`, names[0])
    source.expectSlots = true
    const target = await testDatabase(
      server,
      `${ORDERS('CONSTRAINT payable CHECK (total < 1000)')}; ${STOCK}`,
      names[1],
    )
    const folder = await temporaryFolder()
    await writeFile(join(folder.path, 'shop.yaml'), SHOP)
    await writeFile(join(folder.path, 'warehouse.yaml'), WAREHOUSE)
    const env = { SHOP_URL: source.url, COPY_URL: target.url, SLOT: names.length > 0 ? 'tailrace' : source.name }
    const running = startTailrace(['run', folder.path, '--http', '127.0.0.1:0'], { env })
    return new PageShop(source, target, running, folder)
  }

  private constructor(source: TestDatabase, target: TestDatabase, running: TailraceProcess, folder: AsyncDisposable) {
    this.source = source
    this.target = target
    this.running = running
    this.#folder = folder
  }

  /** Of the page, when the process listens. */
  async url(): Promise<string> {
    const find = () => /listening at (http:\S+)$/m.exec(this.running.stderr)?.[1]
    await this.running.waitFor(find, 'it listens')
    return find()!
  }

  async status(): Promise<Status> {
    return (await fetch(`${await this.url()}api/status`)).json() as Promise<Status>
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.running[Symbol.asyncDispose]()
    await this.source[Symbol.asyncDispose]()
    await this.target[Symbol.asyncDispose]()
    await this.#folder[Symbol.asyncDispose]()
  }
}
