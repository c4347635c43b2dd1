import { Command } from 'commander'
import { OPTION_INVALID, OPTION_MISSING } from '../../core/errors.js'
import { parseTablePatterns } from '../../postgres/tablePattern.js'
import { ask } from '../control/client.js'
import { namesOneTable, type Result, type SignalRequest } from '../control/protocol.js'
import { type RunName, socketPlaces } from '../control/socketPath.js'
import { log } from '../log.js'
import { print } from '../print.js'
import { plainOption } from '../settingOptions.js'
import { resultAsText } from './resultText.js'

interface SignalOptions extends RunName {
  readonly json?: boolean
  readonly where?: string
}

/** `tailrace signal`: asks a run of `tailrace stream` on this machine how it is, or to change its tables. */
export function signalCommand(): Command {
  return new Command('signal')
    .description('Ask a running "tailrace stream" of this machine how it is, or to change its tables while it runs.')
    .addOption(plainOption('-s, --state <file>', 'The run with this state file.'))
    .addOption(plainOption('--slot <name>', 'The run with this slot, and without a state file.'))
    .addOption(plainOption('--control <path>', 'The run that listens here: its own --control.'))
    .addOption(plainOption('--json', 'Print one JSON document.'))
    .addHelpText('after', EXAMPLES)
    .addCommand(
      signal('status', 'Tell what is captured, how far, and what is being read.', STATUS_EXAMPLES).action(
        (_, command: Command) => send({ command: 'status' }, command),
      ),
    )
    .addCommand(
      signal('add', 'Capture more tables: their rows, then their changes.', ADD_EXAMPLES)
        .argument('<tables...>', 'Names and patterns, written as in --tables.')
        .action((tables: readonly string[], _, command: Command) => send(tableChange('add', tables), command)),
    )
    .addCommand(
      signal('remove', 'Capture these tables no more.', REMOVE_EXAMPLES)
        .argument('<tables...>', 'Names and patterns, written as in --tables.')
        .action((tables: readonly string[], _, command: Command) => send(tableChange('remove', tables), command)),
    )
    .addCommand(
      signal('resnapshot', 'Read the rows of a captured table once more.', RESNAPSHOT_EXAMPLES)
        .argument('<table>', 'The name of one table, written as in --tables.')
        .addOption(plainOption('--where <condition>', 'Only these rows: an SQL condition on the columns of the table.'))
        .action((table: string, _, command: Command) => send(resnapshot(table, command.opts()), command)),
    )
}

function signal(name: string, description: string, examples: string): Command {
  return new Command(name)
    .description(description)
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', `${examples}\n\n${EXIT_CODES}`)
}

/** Wrong names are found before anybody is asked. */
function tableChange(command: 'add' | 'remove', lists: readonly string[]): SignalRequest {
  const tables = lists.join(',')
  parseTablePatterns(tables)
  return { command, tables }
}

function resnapshot(table: string, { where }: SignalOptions): SignalRequest {
  if (!namesOneTable(table)) {
    throw OPTION_INVALID({ problem: `resnapshot takes the name of one table, and not '${table}'`, near: undefined })
  }
  return { command: 'resnapshot', table, ...(where !== undefined && { where }) }
}

async function send(request: SignalRequest, command: Command): Promise<void> {
  const { json = false, ...name } = command.optsWithGlobals<SignalOptions>()
  const places = socketPlaces(name)
  if (places.length === 0) {
    const problem = 'nothing says which run: there is no --state <file>, --slot <name> or --control <path>'
    throw OPTION_MISSING({ problem, near: undefined })
  }
  const result = await ask(request, {
    places,
    onWaiting: ({ seconds, for: cause }) => {
      log('info', `waiting since ${seconds} s${cause === undefined ? '' : `: ${cause}`}`)
    },
  })
  await print(json ? resultAsJson(result) : resultAsText(result))
}

/** Without the command, which whoever asked knows. */
function resultAsJson({ command, ...result }: Result): string {
  return `${JSON.stringify('status' in result ? result.status : result, null, 2)}\n`
}

const EXIT_CODES =
  'Exit codes: 0 done; 1 an error: nobody runs there, or the run refused (it goes on as before); 2 wrong usage.'

const EXAMPLES = `
Every option can also be given as an environment variable: --state as TAILRACE_STATE.

Examples:
    $ tailrace signal status --state shop.state
    $ tailrace signal add --state shop.state orders,customers
    $ tailrace signal remove --slot nightly 'archive.*'
    $ tailrace signal resnapshot --state shop.state --where "id > 100" orders

${EXIT_CODES}`

const STATUS_EXAMPLES = `
Examples:
  For people:
    $ tailrace signal status --state shop.state

  For a monitor:
    $ tailrace signal status --slot nightly --json | jq '{phase, lagBytes, lagSeconds}'`

const ADD_EXAMPLES = `
The next start of the run captures what its --tables says: put them there, too.

Examples:
    $ tailrace signal add --state shop.state orders,customers
    $ tailrace signal add --slot nightly 'sales.inv_*' '"Orders"'`

const REMOVE_EXAMPLES = `
The next start of the run captures what its --tables says: take them out there, too.

Examples:
    $ tailrace signal remove --state shop.state orders
    $ tailrace signal remove --control /run/shop/control.sock 'archive.*'`

const RESNAPSHOT_EXAMPLES = `
Examples:
    $ tailrace signal resnapshot --state shop.state orders
    $ tailrace signal resnapshot --state shop.state --where "placed_at >= '2026-01-01'" orders`
