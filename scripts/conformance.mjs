// `npm run conformance:conduit -- --only kills`, `npm run conformance:airbyte -- --only plain`; `--help` tells the rest.
import { fileURLToPath } from 'node:url'
import { runCompiled } from './runCompiled.mjs'

// Compiled, it lies elsewhere.
process.env.TAILRACE_ROOT = fileURLToPath(new URL('..', import.meta.url))
const [home, ...args] = process.argv.slice(2)
runCompiled(`test/conformance/${home}/main.ts`, args)
