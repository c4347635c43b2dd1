import { parseArgs } from 'node:util'

const COMMANDS = ['spec', 'check', 'discover', 'read'] as const

/** What is asked for, and the files that say more. */
export interface CommandLine {
  readonly command: (typeof COMMANDS)[number]
  readonly config: string
  readonly catalog: string
  readonly state: string | undefined
  readonly debug: boolean
}

export const USAGE = `Usage: tailrace-airbyte spec
       tailrace-airbyte check --config FILE
       tailrace-airbyte discover --config FILE
       tailrace-airbyte read --config FILE --catalog FILE [--state FILE]

A source connector of the Airbyte protocol: messages on standard output, one JSON object a line.
Each FILE holds JSON. --debug has the LOG messages of level DEBUG, too.
`

/** Reads the arguments; a text says what is wrong with them, and of an empty one nothing is: help was asked for. */
export function parseCommandLine(argv: readonly string[]): CommandLine | string {
  if (argv.some((one) => one === '--help' || one === '-h')) return ''
  const text = { type: 'string' } as const
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        config: text,
        catalog: text,
        state: text,
        debug: { type: 'boolean', default: false },
        // Estuary's: what they choose goes to LOG messages here.
        'log.level': text,
        'log.format': text,
      },
    })
    const [name, ...more] = positionals
    const command = COMMANDS.find((one) => one === name)
    if (name === undefined) return 'a command is missing'
    if (command === undefined) return `there is no command ${name}`
    if (more.length > 0) return `${more.join(' ')} is one argument too many`
    const { config, catalog, state } = values
    if (command !== 'spec' && config === undefined) return `${command} needs --config`
    if (command === 'read' && catalog === undefined) return 'read needs --catalog'
    const debug = values.debug || values['log.level'] === 'debug'
    return { command, config: config ?? '', catalog: catalog ?? '', state, debug }
  } catch (error) {
    return (error as Error).message
  }
}
