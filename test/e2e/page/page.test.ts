import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { chromiumPath, openBrowser } from '../../support/browser.js'
import { PageShop } from '../../support/pageShop.js'
import { startServer } from '../../support/servers.js'
import { waitFor } from '../../support/waitFor.js'

const ROWS = 500

describe.skipIf(chromiumPath === undefined)('the page in Chromium', () => {
  let server: EmbeddedPostgres
  let shop: PageShop
  let browser: Browser
  let context: BrowserContext
  let page: Page
  let url: string
  /** What the browser had to complain about, and every address that it asked. */
  const complaints: string[] = []
  const asked = new Set<string>()

  beforeAll(async () => {
    server = await startServer()
    const opened = await Promise.all([PageShop.open(server, ROWS), openBrowser()])
    shop = opened[0]
    browser = opened[1]
    url = await shop.url()
    context = await browser.newContext({ viewport: { width: 1200, height: 900 } })
    page = await context.newPage()
    page.setDefaultTimeout(20_000)
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('request', (request) => asked.add(new URL(request.url()).origin))
    await page.goto(`${url}#shop`)
  })

  afterAll(async () => {
    await browser?.close()
    await shop?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  const verdict = () => page.getByRole('region', { name: 'Is my data safe?' })
  const region = (name: string) => page.getByRole('region', { name })
  const sees = (text: string | RegExp, within = page.getByRole('main')) => within.getByText(text).first().waitFor()

  test('loads, says that the data is safe, and follows what comes', async () => {
    await verdict().getByText('every change is delivered as it comes').waitFor()
    await sees(`${ROWS} rows`, region('From the source to the sinks'))
    const pipelines = page.getByRole('navigation', { name: 'Pipelines' })
    for (const name of ['shop, safe', 'warehouse, safe']) await pipelines.getByRole('link', { name }).waitFor()
    await sees(`1 table read, ${ROWS} rows`, region('Reading of rows'))
    await shop.source.query("INSERT INTO orders VALUES (1001, 'Ann', 5, now()), (1002, 'Ben', 6, now())")
    await sees(`${ROWS + 2} rows`, region('From the source to the sinks'))
    const create = region('Records by table').getByRole('row', { name: 'public.orders' }).getByRole('cell').nth(1)
    await waitFor(async () => (await create.textContent()) === '2', { what: 'two in the table', timeoutMs: 10_000 })
    const chart = page.getByRole('img', { name: /^Rows per second over the last hour: now/ })
    expect(await chart.locator('canvas').count()).toBe(1)
  })

  test('pauses and resumes the pipeline', async () => {
    await page.getByRole('button', { name: 'Pause' }).click()
    await verdict().getByText('Paused:', { exact: true }).waitFor()
    await shop.source.query("INSERT INTO orders VALUES (1003, 'Cid', 7, now())")
    expect((await shop.status()).pipelines.map(({ state }) => state)).toEqual(['paused', 'streaming'])
    expect(await shop.target.query('SELECT FROM orders WHERE id = 1003')).toEqual([])
    await page.getByRole('button', { name: 'Resume' }).click()
    await verdict().getByText('every change is delivered').waitFor()
    await sees(`${ROWS + 3} rows`, region('From the source to the sinks'))
  })

  test('reads some rows of a table again', async () => {
    await page.getByRole('button', { name: 'Read a table again' }).click()
    await page.getByLabel(/Only rows where/).fill('id = 1003')
    await page.getByRole('button', { name: 'Read', exact: true }).click()
    await verdict().getByText('The rows of public.orders are being read once more.').waitFor()
    const snapshot = region('Records by table').getByRole('row', { name: 'public.orders' }).getByRole('cell').first()
    await waitFor(async () => (await snapshot.textContent()) === String(ROWS + 1), {
      what: 'one more',
      timeoutMs: 10_000,
    })
  })

  test('shows a sink that fails, with what mends it, and that it has been mended', async () => {
    await shop.target.query('ALTER TABLE stock RENAME TO stock_moved')
    await shop.source.query('INSERT INTO stock VALUES (1, 1)')
    const link = page.getByRole('navigation').getByRole('link', { name: 'warehouse, at risk' })
    await link.click()
    await verdict().getByText('a sink cannot be written to').waitFor()
    const error = region('Last errors').getByRole('listitem').filter({ hasText: 'sink mirror' }).first()
    await error.getByText('public.stock').first().waitFor()
    expect(await error.textContent()).toMatch(/What to do: .+/)
    await sees('trying again', region('From the source to the sinks'))
    await shop.target.query('ALTER TABLE stock_moved RENAME TO stock')
    await verdict().getByText('every change is delivered').waitFor()
    expect(await shop.target.query('SELECT id FROM stock')).toEqual([{ id: 1 }])
    await page.getByRole('link', { name: /shop/ }).click()
  })

  test('shows a dead letter, and writes it again when its cause is gone', async () => {
    await shop.source.query("INSERT INTO orders VALUES (2000, '<b>Dot</b>', 5000, now()), (2001, 'Eve', 1, now())")
    const letters = region('Dead letters')
    await letters.getByText('violates check constraint').first().waitFor()
    await letters.getByRole('button', { name: /^Show: create of public\.orders/ }).click()
    const dialog = page.getByRole('dialog', { name: 'Dead letter' })
    expect(await dialog.locator('pre').textContent()).toMatch(/"customer": "<b>Dot<\/b>",\n\s+"total": 5000.00/)
    await dialog.getByRole('button', { name: 'Close' }).click()
    const replay = letters.getByRole('button', { name: /^Replay: create of public\.orders/ })
    await replay.click()
    await letters.getByText('1 record rejected again').waitFor()
    await shop.target.query('ALTER TABLE orders DROP CONSTRAINT payable')
    await replay.click()
    await letters.getByText('1 record written again').waitFor()
    await letters.getByText('There is none now').waitFor()
    expect(await shop.target.query('SELECT total FROM orders WHERE id = 2000')).toEqual([{ total: '5000.00' }])
    await verdict().getByText('every change is delivered').waitFor()
  })

  test('fits a phone, in light and in dark, and has complained of nothing', async () => {
    await page.setViewportSize({ width: 360, height: 740 })
    const wide = () => page.evaluate('document.documentElement.scrollWidth')
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      for (const name of ['shop', 'warehouse']) {
        await page.getByRole('link', { name: new RegExp(name) }).click()
        await page.getByRole('heading', { level: 1 }).waitFor()
        expect(await wide(), `${name}, ${colorScheme}`).toBe(360)
      }
    }
    expect(complaints).toEqual([])
    expect([...asked]).toEqual([new URL(url).origin])
  })

  test('says when the process is out of reach, and goes on when it is back', async () => {
    await context.setOffline(true)
    await page.getByRole('alert').getByText('The connection to the process is lost').waitFor()
    await context.setOffline(false)
    await page.getByText('live', { exact: true }).waitFor()
    shop.running.kill('SIGKILL')
    await page.getByRole('alert').getByText('it goes on where it was').waitFor()
    await page.getByRole('heading', { level: 1 }).waitFor()
  })
})
