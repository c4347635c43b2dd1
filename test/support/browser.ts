import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** A Chromium of the machine's own; undefined: there is none, and what needs one is skipped. */
export const chromiumPath = process.env.TAILRACE_TEST_CHROMIUM ?? PLACES.find((path) => existsSync(path))

export function openBrowser(): Promise<Browser> {
  // As root there is no sandbox; and a container's /dev/shm may be small.
  const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--force-color-profile=srgb']
  return chromium.launch({ executablePath: chromiumPath!, args })
}
