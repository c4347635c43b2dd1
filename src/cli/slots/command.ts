import { Command } from 'commander'
import { parseConnectionString } from '../../postgres/connectionString.js'
import { Session } from '../../postgres/session.js'
import { dropNamedSlot } from '../../postgres/slotDrop.js'
import { listSlots } from '../../postgres/slotList.js'
import { print } from '../print.js'
import { plainOption, settingOption } from '../settingOptions.js'
import { slotsAsJson, slotsAsText } from './listSlots.js'

interface SlotsOptions {
  readonly url?: string
  readonly json?: boolean
}

interface DropOptions extends SlotsOptions {
  readonly force?: boolean
}

/** `tailrace slots`: what holds WAL on the server, and `tailrace slots drop`. */
export function slotsCommand(): Command {
  return new Command('slots')
    .description('List the replication slots of the server: who reads them, how much WAL they hold, how they are.')
    .addOption(settingOption('url', '-u, --url <url>'))
    .addOption(plainOption('--json', 'Print one JSON document; sizes are numbers of bytes.'))
    .addHelpText('after', EXAMPLES)
    .action(async ({ url, json }: SlotsOptions) => {
      await using session = await Session.connect(parseConnectionString(url))
      const slots = await listSlots(session)
      await print((json ? slotsAsJson : slotsAsText)(slots, new Date()))
    })
    .addCommand(dropCommand())
}

function dropCommand(): Command {
  return new Command('drop')
    .description('Drop a replication slot, so that the server keeps no WAL for it any more. Its place is lost.')
    .argument('<name>', 'The slot.')
    .addOption(
      plainOption('--force', 'Also when somebody reads it: ends that connection first. What it has not read is lost.'),
    )
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', DROP_EXAMPLES)
    .action(async (name: string, _: DropOptions, command: Command) => {
      const { url, force = false, json = false } = command.optsWithGlobals<DropOptions>()
      await using session = await Session.connect(parseConnectionString(url))
      await dropNamedSlot(session, name, { force })
      await print(json ? `${JSON.stringify({ dropped: name })}\n` : `Dropped replication slot ${name}.\n`)
    })
}

const EXAMPLES = `
Every option can also be given as an environment variable: --url as TAILRACE_URL.

Examples:
  All slots, physical ones and those of other databases too:
    $ tailrace slots --url postgres://app@localhost/shop

  What is held, in bytes, for a monitor:
    $ tailrace slots --url postgres://app@localhost/shop --json | jq '.slots[] | {name, retainedBytes, health}'

  A slot that nobody needs any more:
    $ tailrace slots drop nightly --url postgres://app@localhost/shop

Exit codes: 0 done; 1 an error; 2 wrong usage.`

const DROP_EXAMPLES = `
Examples:
    $ tailrace slots drop nightly --url postgres://app@localhost/shop
    $ tailrace slots drop nightly --force --url postgres://app@localhost/shop

Exit codes: 0 dropped; 1 an error, and the slot stands as it was; 2 wrong usage.`
