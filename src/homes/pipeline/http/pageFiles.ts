import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import type { Route } from './route.js'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json; charset=utf-8',
  '.woff2': 'font/woff2',
}

const HEADERS = {
  'cache-control': 'no-cache',
  // Nothing of it comes from anywhere else, nor goes there, and nothing of its own stands inline.
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
}

/**
 * The files of the page, read once: `index.html` is also `/`. None where there is no such folder. They have no data, so that a browser
 * may have them before its user gives the token.
 */
export async function pageRoutes(folder: string): Promise<readonly Route[]> {
  const names = await readdir(folder, { recursive: true }).catch((): string[] => [])
  const routes: Route[] = []
  for (const name of names) {
    const type = TYPES[extname(name)]
    if (type === undefined) continue
    const body = await readFile(join(folder, name))
    const answer = () => ({ type, body, headers: HEADERS })
    const path = `/${name.replaceAll('\\', '/')}`
    routes.push({ method: 'GET', path, open: true, answer })
    if (path === '/index.html') routes.push({ method: 'GET', path: '/', open: true, answer })
  }
  return routes
}
