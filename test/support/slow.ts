import { type TestAPI, test } from 'vitest'

/** Some tests take their time: `npm run test:slow`. */
export const isSlow = process.env.TAILRACE_SLOW !== undefined

/** For what waits for a server's own looks, of 15 s and more. */
export const slowTest = (isSlow ? test : test.skip) as TestAPI
