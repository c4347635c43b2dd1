import { expect, test } from 'vitest'
import { reportAsJson, reportAsText } from '../../../src/cli/doctor/report.js'
import { advice, type Finding, option, sql, verdicts } from '../../../src/source/doctor/finding.js'

const { ok, warning, problem } = verdicts('tables')
const found = (text: string) => ({ code: 'KEY', found: text, why: 'It matters.' })
const to = 'postgres://app@db:5432/shop'
const text = (findings: readonly Finding[], coloured = false) =>
  reportAsText({ platform: 'rds', to, findings }, coloured)

test('groups in their order, what passed in a line, the rest with why and mend, the sum at the end', () => {
  const server = verdicts('server')
  const findings = [
    ok(found('public.a: key (id)')),
    problem({
      ...found('no replica identity'),
      code: 'BAD',
      mend: [sql('ALTER TABLE a;'), undefined, option('--keyless inserts'), advice('Both.')],
    }),
    warning(found('odd')),
    server.ok(found('PostgreSQL 18.6')),
  ]
  expect(text(findings)).toBe(`postgres://app@db:5432/shop (Amazon RDS)

Server
  ok      PostgreSQL 18.6

Tables
  ok      public.a: key (id)
  PROBLEM no replica identity [BAD]
          It matters.
            ALTER TABLE a;
          Or give --keyless inserts.
          Both.
  warning odd [KEY]
          It matters.

1 problem, 1 warning, 2 checks passed
`)
})

test('many tables that are alike and fine are counted, those that are not are shown', () => {
  const many = Array.from({ length: 25 }, (_, n) => ok(found(`table ${n}`)))
  const shown = text([...many, problem(found('bad'))])
  expect(shown).toContain('table 9\n')
  expect(shown).not.toContain('table 10\n')
  expect(shown).toContain('and 15 more of KEY')
  expect(shown).toContain('bad')
  expect(shown).toContain('25 checks passed')
})

test('colour only where it is wanted; a name cannot act on the terminal', () => {
  const findings = [ok(found('evil \x1b[31m\nname'))]
  expect(text(findings)).toContain('evil ?[31m name')
  expect(text(findings)).not.toContain('\x1b')
  expect(text(findings, true)).toContain('\x1b[32mok     \x1b[0m')
})

test('JSON has every field of every finding, and the sums', () => {
  const findings = [ok(found('fine')), problem({ ...found('bad'), mend: [sql('ALTER')] })]
  expect(JSON.parse(reportAsJson({ platform: 'rds', to, findings }))).toEqual({
    server: to,
    platform: 'rds',
    problems: 1,
    warnings: 0,
    passed: 1,
    findings: [
      { group: 'tables', status: 'ok', code: 'KEY', found: 'fine', why: 'It matters.', mend: [] },
      {
        group: 'tables',
        status: 'problem',
        code: 'KEY',
        found: 'bad',
        why: 'It matters.',
        mend: [{ kind: 'sql', text: 'ALTER' }],
      },
    ],
  })
})
