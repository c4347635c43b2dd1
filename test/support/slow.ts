import { type TestAPI, test } from 'vitest'

/** For what waits for a server's own looks, of 15 s and more: `npm run test:slow`. */
export const slowTest = (process.env.TAILRACE_SLOW === undefined ? test.skip : test) as TestAPI
