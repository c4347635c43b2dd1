import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** What is measured: the built package, as users run it. TAILRACE_DIST names another build of it. */
export const dist = resolve(process.env.TAILRACE_DIST ?? fileURLToPath(new URL('../dist', import.meta.url)))

/** A module of it, by its path below src/: `core/tape.js`. */
export function fromDist(path) {
  return import(pathToFileURL(resolve(dist, path)).href)
}

if (!existsSync(resolve(dist, 'cli/main.js'))) throw new Error(`${dist} is not built: npm run build`)
