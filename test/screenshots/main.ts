import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import { chromiumPath, openBrowser } from '../support/browser.js'
import { PageShop } from '../support/pageShop.js'
import { startServer } from '../support/servers.js'

/** So long orders come in before the pictures are taken: the charts have something to show then. */
const SECONDS = Number(process.env.TAILRACE_SCREENSHOT_SECONDS ?? 200)
const FOLDER = join(process.cwd(), 'docs/images')

if (chromiumPath === undefined)
  throw new Error('there is no Chromium: apt-get install chromium, or TAILRACE_TEST_CHROMIUM')
await using server = await startServer()
await using shop = await PageShop.open(server, 400_000, ['shop', 'copy'])
const browser = await openBrowser()
try {
  const url = await shop.url()
  await mkdir(FOLDER, { recursive: true })
  const WIDE = { width: 1080, height: 760 }
  const page = await browser.newPage({ viewport: WIDE })
  const verdict = page.getByRole('region', { name: 'Is my data safe?' })
  await page.goto(`${url}#shop`)
  const work = orders()
  await verdict.getByText('every change is delivered').waitFor({ timeout: 120_000 })
  const until = Date.now() + SECONDS * 1000
  while (Date.now() < until) {
    await work.next()
    await page.waitForTimeout(200)
  }
  await picture(page, 'page-light', 'light')
  await page.setViewportSize({ width: 390, height: 844 })
  await picture(page, 'page-phone', 'light')
  await page.setViewportSize(WIDE)

  await shop.source.query("INSERT INTO orders VALUES (9000001, 'Dot', 5000, now())")
  await shop.target.query('ALTER TABLE stock RENAME TO stock_moved')
  await shop.source.query('INSERT INTO stock VALUES (1, 1)')
  await page.getByRole('region', { name: 'Dead letters' }).getByText('payable').first().waitFor()
  await work.next()
  await sleep(2500)
  await picture(page, 'page-dead-letter', 'dark')
  await page.goto(`${url}#warehouse`)
  await verdict.getByText('a sink cannot be written to').waitFor()
  await picture(page, 'page-failing-sink', 'dark')
} finally {
  await browser.close()
}

async function picture(page: Page, name: string, colorScheme: 'light' | 'dark'): Promise<void> {
  await page.emulateMedia({ colorScheme })
  await page.waitForTimeout(1500)
  await page.screenshot({ path: join(FOLDER, `${name}.png`) })
}

/** Orders as a shop has them: more and less, in waves, with now and then a rush. */
async function* orders(): AsyncGenerator<void> {
  let id = 1_000_000
  for (let tick = 0; ; tick++) {
    const rush = tick % 160 > 140 ? 900 : 0
    const many = Math.round(120 + 80 * Math.sin(tick / 25) + 60 * Math.random() + rush)
    await shop.source.query(
      `INSERT INTO orders SELECT ${id} + n, 'customer ' || n % 97, n % 900 + 0.5, now() FROM generate_series(1, ${many}) n`,
    )
    await shop.source.query(`UPDATE orders SET total = total + 1 WHERE id > ${id - 40} AND id <= ${id}`)
    id += many
    yield
  }
}
