// `npm run conformance:conduit -- --only kills`; `--help` tells the rest.
import { fileURLToPath } from 'node:url'
import { runCompiled } from './runCompiled.mjs'

// Compiled, it lies elsewhere.
process.env.TAILRACE_ROOT = fileURLToPath(new URL('..', import.meta.url))
runCompiled('test/conformance/conduit/main.ts')
