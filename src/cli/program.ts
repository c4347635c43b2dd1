import { Command } from 'commander'
import { demoCommand } from './demo/command.js'
import { fail } from './failure.js'
import { streamCommand } from './stream/command.js'
import { packageVersion } from './version.js'

/** Runs the command line; gives the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  let code = 0
  const program = new Command('tailrace')
    .description("A PostgreSQL database's rows, then every change after them.")
    .version(packageVersion(), '-V, --version')
    .showSuggestionAfterError()
    .addHelpText('after', EXAMPLES)
    .exitOverride()
    .configureOutput(MASKED)
  const finished = (exitCode: number) => {
    code = exitCode
  }
  program.addCommand(streamCommand(finished)).addCommand(demoCommand(finished))
  for (const command of program.commands) {
    command.exitOverride().showSuggestionAfterError().configureOutput(MASKED)
  }
  try {
    await program.parseAsync([...argv])
    return code
  } catch (error) {
    return fail(error)
  }
}

/** commander repeats what it does not know, and a mistyped option may stand before a URL with a password. */
const MASKED = {
  writeErr: (text: string) =>
    process.stderr.write(text.replace(/:\/\/[^\s']*@/g, '://***@').replace(/password\s*=.*/g, 'password=***')),
}

const EXAMPLES = `
Examples:
  $ tailrace stream --url postgres://app@localhost/shop --tables orders,customers
  $ tailrace stream --help
  $ tailrace demo --seconds 10

Every option can also be given as an environment variable: --url as TAILRACE_URL.`
