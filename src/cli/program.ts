import { Command } from 'commander'
import { demoCommand } from './demo/command.js'
import { dlqCommand } from './dlq/command.js'
import { doctorCommand } from './doctor/command.js'
import { fail } from './failure.js'
import { runCommand, validateCommand } from './run/command.js'
import { signalCommand } from './signal/command.js'
import { slotsCommand } from './slots/command.js'
import { streamCommand } from './stream/command.js'
import { verifyCommand } from './verify/command.js'
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
    .configureOutput(OUTPUT)
  const finished = (exitCode: number) => {
    code = exitCode
  }
  program
    .addCommand(streamCommand(finished))
    .addCommand(runCommand(finished))
    .addCommand(validateCommand(finished))
    .addCommand(dlqCommand(finished))
    .addCommand(doctorCommand(finished))
    .addCommand(slotsCommand())
    .addCommand(signalCommand())
    .addCommand(verifyCommand(finished))
    .addCommand(demoCommand(finished))
  for (const command of program.commands.flatMap((one) => [one, ...one.commands])) {
    command.exitOverride().showSuggestionAfterError().configureOutput(OUTPUT)
  }
  try {
    await program.parseAsync([...argv])
    return code
  } catch (error) {
    return fail(error)
  }
}

/** What is wrong is said by `fail`, as any error; the examples in the help have no password to hide. */
const OUTPUT = { outputError: () => {} }

const EXAMPLES = `
Examples:
  $ tailrace stream --url postgres://app@localhost/shop --tables orders,customers
  $ tailrace run pipeline.yaml
  $ tailrace doctor --url postgres://app@localhost/shop --tables orders,customers
  $ tailrace verify --source postgres://app@db/shop --target postgres://app@copy/shop --tables orders
  $ tailrace stream --help
  $ tailrace demo --seconds 10

Every option can also be given as an environment variable: --url as TAILRACE_URL.`
