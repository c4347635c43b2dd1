import { fileURLToPath } from 'node:url'

/** The command's own file, to be run with Node: the built one, or another build of it (`TAILRACE_CLI`). */
export const cliPath = process.env.TAILRACE_CLI ?? fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
