import { Command } from 'commander'
import { OPTION_MISSING } from '../../core/errors.js'
import { verifySettings } from '../../verify/settings.js'
import { collect, optionsOf, plainOption } from '../settingOptions.js'
import { runVerify, type VerifyCommandOptions } from './runVerify.js'

const option = optionsOf(verifySettings)

/** `tailrace verify`: whether the tables of two databases are equal, which rows differ, and their repair. */
export function verifyCommand(finished: (exitCode: number) => void): Command {
  return new Command('verify')
    .description(
      'Compare tables of two databases: checksums computed by the servers, then the very rows that differ. Changes nothing without --repair.',
    )
    .addOption(option('source', '--source <url>'))
    .addOption(option('target', '--target <url>'))
    .addOption(option('tables', '-t, --tables <list>'))
    .addOption(option('exclude', '--exclude <list>'))
    .addOption(option('targetTable', '--target-table <template>'))
    .addOption(option('columns', '--columns <table:columns>').argParser(collect))
    .addOption(option('keys', '--key <table:columns>').env('TAILRACE_KEY').argParser(collect))
    .addOption(option('settleSeconds', '--settle <seconds>').env('TAILRACE_SETTLE').argParser(Number))
    .addOption(option('limit'))
    .addOption(option('values'))
    .addOption(option('repair'))
    .addOption(plainOption('--json', 'Print one JSON document.'))
    .addOption(plainOption('-q, --quiet', 'Say nothing of how far it is.'))
    .addHelpText('after', EXAMPLES)
    .action(async (options: Partial<VerifyCommandOptions>) => {
      for (const [name, flag] of Object.entries(REQUIRED)) {
        if (options[name as keyof typeof REQUIRED] === undefined) {
          throw OPTION_MISSING({ problem: `there is no ${flag}`, near: undefined })
        }
      }
      finished(await runVerify(options as VerifyCommandOptions))
    })
}

/** Not left to commander, which would say so before it says that `--tabels` is no option. */
const REQUIRED = { source: '--source <url>', target: '--target <url>', tables: '--tables <list>' } as const

const EXAMPLES = `
Every option can also be given as an environment variable: --source as TAILRACE_SOURCE.

Examples:
  Two tables and their copies, also while the copy is being kept up to date:
    $ tailrace verify --source postgres://app@db/shop --target postgres://app@copy/shop --tables orders,customers

  Everything of schema public, where nothing writes, with the values that differ:
    $ tailrace verify --source postgres://app@db/shop --target postgres://app@copy/shop --tables '*' --settle 0 --values

  Put right what differs:
    $ tailrace verify --source postgres://app@db/shop --target postgres://app@copy/shop --tables orders --repair

  Copies under other names, some columns, another key, as JSON:
    $ tailrace verify --source service=shop --target service=copy --tables orders --target-table 'archive.{table}_copy' \\
        --columns orders:number,total --key orders:number --json | jq '.tables[].differences'

Exit codes: 0 equal, or made so by --repair; 1 different; 2 could not tell: an error, wrong usage, an interrupt, or rows that
never stood still; 141 standard output was closed.`
