import { Command, InvalidArgumentError } from 'commander'
import { OPTION_MISSING } from '../../core/errors.js'
import { collect, plainOption, settingOption } from '../settingOptions.js'
import { runStream, type StreamOptions } from './runStream.js'

/** `tailrace stream`: rows and changes as lines of JSON. */
export function streamCommand(finished: (exitCode: number) => void): Command {
  return new Command('stream')
    .description('Write the rows of tables, then every change after them, as lines of JSON.')
    .addOption(settingOption('url', '-u, --url <url>'))
    .addOption(settingOption('tables', '-t, --tables <list>'))
    .addOption(settingOption('exclude', '--exclude <list>'))
    .addOption(settingOption('columns', '--columns <table:columns>').argParser(collect))
    .addOption(settingOption('keys', '--key <table:columns>').env('TAILRACE_KEY').argParser(collect))
    .addOption(settingOption('cdcMode', '--cdc-mode <mode>'))
    .addOption(settingOption('cursors', '--cursor <table:column>').env('TAILRACE_CURSOR').argParser(collect))
    .addOption(settingOption('pollIntervalMs'))
    .addOption(settingOption('snapshot', '--snapshot <mode>'))
    .addOption(settingOption('strategy', '--strategy <how>'))
    .addOption(settingOption('slot', '--slot <name>'))
    .addOption(settingOption('failoverSlot'))
    .addOption(settingOption('publication', '--publication <name>'))
    .addOption(settingOption('managePublication'))
    .addOption(settingOption('keyless', '--keyless <policy>'))
    .addOption(settingOption('toast', '--toast <policy>'))
    .addOption(settingOption('messages', '--messages [prefix]'))
    .addOption(
      plainOption('--format <format>', 'ndjson: the whole record; row: only the row, of a delete its key.')
        .choices(['ndjson', 'row'])
        .default('ndjson'),
    )
    .addOption(
      plainOption(
        '-o, --output <file>',
        'Append to this file instead of standard output. A last line without its newline, of a run that was cut off, goes.',
      ),
    )
    .addOption(
      plainOption(
        '-s, --state <file>',
        'Keep the position here, so that the run can be resumed: in --output every record stands exactly once, whatever kills it.',
      ),
    )
    .addOption(
      plainOption(
        '--control <path>',
        'Listen here for "tailrace signal". Default: beside the state file, or by the name of the slot.',
      ),
    )
    .addOption(plainOption('--no-control', 'Take no signals.'))
    .addOption(settingOption('until', '--until <current|lsn>'))
    .addOption(plainOption('--idle-timeout <seconds>', 'End when no record came for so long.').argParser(seconds))
    .addOption(plainOption('-q, --quiet', 'Say only what goes wrong, and what is waited for.').conflicts('verbose'))
    .addOption(plainOption('-v, --verbose', 'Say more: what is connected to, made and finished.'))
    .addOption(
      plainOption('--log <format>', 'How to say it on standard error: text, or a JSON object a line.')
        .choices(['text', 'json'])
        .default('text'),
    )
    .addOption(settingOption('replicationUrl', '--replication-url <url>'))
    .addOption(settingOption('snapshotWorkers'))
    .addOption(settingOption('snapshotChunkRows'))
    .addOption(settingOption('maxBytes'))
    .addOption(settingOption('streaming', '--streaming <on|off>'))
    .addOption(settingOption('logicalDecodingWorkMem', '--logical-decoding-work-mem <size>'))
    .addOption(settingOption('spoolFolder', '--spool-folder <folder>'))
    .addOption(settingOption('spoolMemoryBytes'))
    .addOption(settingOption('spoolMaxBytes'))
    .addOption(settingOption('slotTimeoutMs'))
    .addOption(settingOption('onRedeliveryChange', '--on-redelivery-change <what>'))
    .addOption(settingOption('existingSlot', '--existing-slot <what>'))
    .addOption(settingOption('onSlotLost', '--on-slot-lost <what>'))
    .addOption(settingOption('onPublicationChange', '--on-publication-change <what>'))
    .addOption(settingOption('walBudgetBytes', '--wal-budget <size>').env('TAILRACE_WAL_BUDGET').argParser(size))
    .addOption(settingOption('onWalBudget', '--on-wal-budget <what>'))
    .addOption(settingOption('heartbeat', '--heartbeat <when>'))
    .addOption(settingOption('heartbeatMs'))
    .addOption(settingOption('stallMs'))
    .addOption(settingOption('bigNumbers', '--big-numbers <form>'))
    .addOption(settingOption('bytea', '--bytea <form>'))
    .addHelpText('after', EXAMPLES)
    .action(async (options: Partial<StreamOptions>) => {
      // Not left to commander, which would say so before it says that `--tabels` is no option.
      if (options.tables === undefined)
        throw OPTION_MISSING({ problem: 'there is no --tables <list>', near: undefined })
      finished(await runStream(options as StreamOptions))
    })
}

/** Node's timers take no more than 2^31 milliseconds. */
const MAX_SECONDS = 2_000_000

function seconds(text: string): number {
  const value = Number(text)
  if (value > 0 && value <= MAX_SECONDS) return value
  throw new InvalidArgumentError(`It must be a number of seconds above 0, and ${MAX_SECONDS} at most.`)
}

const UNITS: Readonly<Record<string, number>> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3, tb: 1024 ** 4 }

/** As the server's own settings have it: `512MB`, `10GB`; a number alone is bytes. */
function size(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? []
  const factor = UNITS[unit?.toLowerCase() || 'b']
  if (digits === undefined || factor === undefined) {
    throw new InvalidArgumentError('It must be a size such as 512MB or 10GB.')
  }
  return Math.round(Number(digits) * factor)
}

const EXAMPLES = `
Every option can also be given as an environment variable: --idle-timeout as TAILRACE_IDLE_TIMEOUT.

Examples:
  Rows and changes of two tables, until Ctrl-C; nothing is left on the server:
    $ tailrace stream --url postgres://app@localhost/shop --tables orders,customers

  Everything once, to a file, then the end:
    $ tailrace stream --url postgres://app@localhost/shop --tables '*' --snapshot only --output shop.ndjson

  Resumable: killed and started again, the file has every record exactly once:
    $ tailrace stream --url postgres://app@localhost/shop --tables orders --state shop.state --output shop.ndjson

  What happened since the last run, as a cron job (the slot holds the place):
    $ tailrace stream --url postgres://app@localhost/shop --tables orders --slot nightly --until current

  Where to is said by the variables of psql, or by a service of ~/.pg_service.conf:
    $ PGHOST=localhost PGDATABASE=shop tailrace stream --tables orders
    $ tailrace stream --url service=shop --tables orders

  Names with capitals or dots, some columns only, another key:
    $ tailrace stream --tables '"Orders","odd.schema".items' --columns '"Orders":id,total' --key '"Orders":number'

Exit codes: 0 the end, also by SIGINT or SIGTERM; 1 an error; 2 wrong usage; 141 standard output was closed.`
