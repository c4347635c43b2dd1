import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { tailrace } from '../../support/tailrace.js'
import { tailraceHere } from '../../support/tailraceHere.js'

/** Never asked: wrong usage is found before. */
const NOWHERE = 'postgres://someone:s3cret@192.0.2.1:1/shop'

describe.concurrent('help', () => {
  test('of the program and of each command has examples', async () => {
    const program = await tailrace(['--help'])
    expect({ code: program.code, stderr: program.stderr }).toEqual({ code: 0, stderr: '' })
    expect(program.stdout).toMatch(/Examples:\n {2}\$ tailrace stream --url /)
    const commands = [...program.stdout.matchAll(/^ {2}(\w+) \[options\]/gm)].map(([, name]) => name!)
    expect(commands).toContain('stream')
    for (const command of commands) {
      const { code, stdout } = await tailraceHere([command, '--help'])
      expect(code).toBe(0)
      expect(stdout).toMatch(new RegExp(`Examples?:\n[^]*\\$ tailrace ${command}`))
    }
  })

  test('of stream names the variable of every option, and the exit codes', async () => {
    const { stdout } = await tailrace(['help', 'stream'])
    const text = stdout.replaceAll(/\s+/g, ' ')
    const options = [...stdout.matchAll(/^ {2}(?:-\w, )?--([a-z-]+)/gm)].map(([, name]) => name!)
    expect(options.length).toBeGreaterThan(20)
    for (const option of options.filter((name) => name !== 'help')) {
      expect(text).toContain(`env: TAILRACE_${option.replaceAll('-', '_').toUpperCase()}`)
    }
    expect(text).toMatch(/Exit codes: 0 .* 1 .* 2 .* 141 /)
  })

  test('--version is that of the package', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8'))
    expect(await tailrace(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' })
  })
})

/** Each is refused with exit code 2, and what it says matches. */
const WRONG: readonly (readonly [name: string, args: readonly string[], says: RegExp])[] = [
  ['no command', [], /Usage: tailrace/],
  ['an unknown command', ['strem'], /COMMAND_UNKNOWN: unknown command 'strem'\. Did you mean stream\?/],
  ['an unknown option', stream('--tabels', 'u'), /OPTION_UNKNOWN: unknown option '--tabels'\. Did you mean --tables\?/],
  [
    'an unknown option instead of a needed one',
    ['stream', '--url', NOWHERE, '--tabels', 't'],
    /OPTION_UNKNOWN: .*--tables/,
  ],
  ['an option without its value', ['stream', '--url'], /OPTION_MISSING: .*argument missing/],
  ['no --tables', ['stream', '--url', NOWHERE], /OPTION_MISSING: there is no --tables <list>/],
  ['an argument too many', stream('extra'), /OPTION_INVALID: too many arguments/],
  [
    'a wrong --snapshot',
    stream('--snapshot', 'first'),
    /OPTION_INVALID: .*'first' is invalid.*Allowed choices are initial, never, only/,
  ],
  ['a wrong --format', stream('--format', 'csv'), /'csv' is invalid.*ndjson, row/],
  ['a wrong --keyless', stream('--keyless', 'x'), /'x' is invalid.*refuse, inserts/],
  ['a wrong --on-redelivery-change', stream('--on-redelivery-change', 'x'), /'x' is invalid.*stop, repeat/],
  ['a wrong --big-numbers', stream('--big-numbers', 'bigint'), /'bigint' is invalid.*number, string/],
  ['a wrong --bytea', stream('--bytea', 'x'), /'x' is invalid.*hex, base64/],
  ['an --idle-timeout of letters', stream('--idle-timeout', 'x'), /'x' is invalid.*number of seconds above 0/],
  ['an --idle-timeout of nothing', stream('--idle-timeout', '0'), /'0' is invalid/],
  ['an endless --idle-timeout', stream('--idle-timeout', 'Infinity'), /'Infinity' is invalid/],
  ['a wrong --max-bytes', stream('--max-bytes', '1e3'), /'1e3' is invalid.*whole number/],
  ['a --max-bytes too small', stream('--max-bytes', '1'), /SETTING_INVALID: setting "maxBytes" is 1/],
  ['no --snapshot-workers', stream('--snapshot-workers', '0'), /SETTING_INVALID: setting "snapshotWorkers" is 0/],
  ['a wrong --until', stream('--until', 'now'), /SETTING_INVALID: setting "until" is "now"/],
  ['a wrong --slot', stream('--slot', 'Orders'), /SETTING_INVALID: setting "slot" is "Orders"/],
  ['a slot for a snapshot alone', stream('--slot', 's', '--snapshot', 'only'), /SETTING_INVALID: setting "slot"/],
  ['an empty --tables', ['stream', '--url', NOWHERE, '--tables', ''], /SETTING_INVALID: setting "tables"/],
  ['a bad table pattern', ['stream', '--url', NOWHERE, '--tables', 'a,"b'], /TABLE_PATTERN_INVALID: .*at character 3/],
  ['a bad --exclude', stream('--exclude', 'a.b.c.d'), /TABLE_PATTERN_INVALID/],
  ['a --columns without columns', stream('--columns', 'orders'), /TABLE_PATTERN_INVALID|SETTING_INVALID/],
  ['a --key without a table', stream('--key', ':id'), /TABLE_PATTERN_INVALID|SETTING_INVALID/],
  ['a URL that is none', url('shop'), /CONNECTION_STRING_INVALID: .*does not begin with postgres:\/\//],
  ['a URL of another kind', url('mysql://u:s3cret@h/d'), /CONNECTION_STRING_INVALID/],
  [
    'a URL with a wrong port',
    url('postgres://u:s3cret@h:port/d'),
    /CONNECTION_STRING_INVALID: .*port "port" is no whole number/,
  ],
  ['a URL with a raw %', url('postgres://u:s3cret%@h/d'), /CONNECTION_STRING_INVALID: .*"%" in it/],
  ['no URL, nor a variable for it', ['stream', '--tables', 't'], /CONNECTION_MISSING: .*--url.*PGHOST/],
  [
    'an option misspelt before a password',
    stream("--ulr=host=h password='s3cret'"),
    /unknown option '--ulr=host=h password=\*\*\*/,
  ],
  ['keywords without an end', url("host=h password='s3cret"), /CONNECTION_STRING_INVALID: .*has no end/],
  [
    'a service that is not there',
    url('service=shop'),
    /CONNECTION_STRING_INVALID: .*service "shop" is defined in none of/,
  ],
  ['an unknown parameter', url(`${NOWHERE}?sslmod=require`), /unknown parameter "sslmod"; did you mean "sslmode"\?/],
  ['a wrong sslmode', url(`${NOWHERE}?sslmode=on`), /sslmode "on" is none of disable, /],
  ['a wrong replication URL', stream('--replication-url', 'postgres://u:s3cret@h:x/d'), /CONNECTION_STRING_INVALID/],
]

function stream(...more: readonly string[]): string[] {
  return ['stream', '--url', NOWHERE, '--tables', 't', ...more]
}

function url(text: string): string[] {
  return ['stream', '--url', text, '--tables', 't']
}

test.concurrent.each(WRONG)('%s is wrong usage: exit code 2, said without a password', async (_, args, says) => {
  // Two as processes of their own, which say no more and no less.
  const command = args === WRONG[0]![1] || args === WRONG[1]![1] ? tailrace : tailraceHere
  const { code, signal, stdout, stderr } = await command(args)
  expect({ code, signal, stdout }, stderr).toEqual({ code: 2, signal: null, stdout: '' })
  expect(stderr.replaceAll(/\s*\n(?!\(Did)/g, ' ')).toMatch(says)
  expect(stderr).not.toContain('s3cret')
  expect(stderr).not.toMatch(/\n {4}at /)
})

test.concurrent('a wrong variable is told by its name', async () => {
  const env = { TAILRACE_URL: NOWHERE, TAILRACE_TABLES: 't', TAILRACE_SNAPSHOT: 'first', TAILRACE_UNKNOWN: 'ignored' }
  const { code, stderr } = await tailrace(['stream'], { env })
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('TAILRACE_SNAPSHOT') })
})
