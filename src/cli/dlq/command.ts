import { Command, InvalidArgumentError, Option } from 'commander'
import { type DlqOptions, dropFrom, listOf, replayOf, showOf } from './runDlq.js'

type Finished = (exitCode: number) => void

/** `tailrace dlq`: the records that the sinks of a pipeline have rejected, and what becomes of them. */
export function dlqCommand(finished: Finished): Command {
  return new Command('dlq')
    .description('Look at the dead letters of a pipeline: what its sinks rejected; write them again, or take them out.')
    .addHelpText('after', EXAMPLES)
    .addCommand(
      filtered(command('list', 'List dead letters, the oldest first, with the reason of each.', LIST_EXAMPLES))
        .addOption(option('--json', 'Print a JSON object a line.'))
        .action(async (file: string, options: DlqOptions) => finished(await listOf(file, options))),
    )
    .addCommand(
      command('show', 'Show one dead letter whole: its record, the reason, what to do.', SHOW_EXAMPLES)
        .argument('<number>', 'Its number, as "tailrace dlq list" shows it.')
        .addOption(sink())
        .addOption(option('--json', 'Print one JSON document.'))
        .action(async (file: string, number: string, options: DlqOptions) =>
          finished(await showOf(file, number, options)),
        ),
    )
    .addCommand(
      filtered(
        command(
          'replay',
          'Write dead letters again, the oldest first; what fails stays, with the new reason.',
          REPLAY_EXAMPLES,
        ),
      )
        .addOption(option('--force', 'Also letters that may be older than what the target has: whatever is there.'))
        .addOption(option('--drop-superseded', 'Take out letters whose row the source has changed since.'))
        .addOption(option('--json', 'Print one JSON document.'))
        .action(async (file: string, options: DlqOptions) => finished(await replayOf(file, options))),
    )
    .addCommand(
      filtered(command('drop', 'Take dead letters out for good. Asks first, at a terminal.', DROP_EXAMPLES))
        .addOption(option('-y, --yes', 'Do not ask.'))
        .addOption(option('--json', 'Print one JSON document.'))
        .action(async (file: string, options: DlqOptions) => finished(await dropFrom(file, options))),
    )
}

/** Not by a variable: one that stands there for another command must not say what is taken out. */
function option(flags: string, description: string): Option {
  return new Option(flags, description)
}

function command(name: string, description: string, examples: string): Command {
  return new Command(name)
    .description(description)
    .argument('<file>', 'The pipeline, such as pipeline.yaml.')
    .addHelpText('after', `${examples}\n\n${EXIT_CODES}`)
}

function sink() {
  return option('--sink <name>', 'Of this sink. Default: of all.')
}

function filtered(one: Command): Command {
  return one
    .addOption(sink())
    .addOption(option('-t, --tables <list>', 'Of these tables, by the target’s name or the source’s, as in --tables.'))
    .addOption(option('--since <time>', 'Put aside since then: 2026-11-22T10:00:00Z, or 90s, 30m, 12h, 7d ago.'))
    .addOption(option('--code <sqlstate>', 'Rejected by a server with this SQLSTATE, such as 23514.'))
    .addOption(option('--id <id>', 'Of the record with this id.'))
    .addOption(option('--from <number>', 'From the letter with this number on.').argParser(number))
    .addOption(option('--to <number>', 'Up to the letter with this number, it included.').argParser(number))
    .addOption(option('--limit <n>', 'At most so many. Default: 100 for list, all else.').argParser(number))
}

function number(text: string): string {
  if (!/^\d{1,18}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return text
}

const EXIT_CODES =
  'Exit codes: 0 done; 1 an error, or (replay) letters that could not be written and stay; 2 wrong usage, or a mistake in the file.'

const EXAMPLES = `
The file is the pipeline's own, with the variables that it names. All of it works beside the run; only what a sink writes that is
no database the run itself has to write again while there is one: it is asked where "http" of the file says that it listens. docs/dead-letters.md has the rest.

Examples:
    $ tailrace dlq list pipeline.yaml
    $ tailrace dlq show pipeline.yaml 17
    $ tailrace dlq replay pipeline.yaml --sink copy
    $ tailrace dlq drop pipeline.yaml --code 23514 --yes

${EXIT_CODES}`

const LIST_EXAMPLES = `
Examples:
    $ tailrace dlq list pipeline.yaml
    $ tailrace dlq list pipeline.yaml --tables orders --since 12h --code 23514
    $ tailrace dlq list pipeline.yaml --json --limit 1000000 | jq -r .problem | sort | uniq -c`

const SHOW_EXAMPLES = `
Examples:
    $ tailrace dlq show pipeline.yaml 17
    $ tailrace dlq show pipeline.yaml 17 --sink copy --json | jq .record.after`

const REPLAY_EXAMPLES = `
A sink of type postgres writes a letter only if the source still has the row as the letter says (of a delete: still has not): then nothing
newer can be overwritten. Others stay, unless --force or --drop-superseded is given.

Examples:
  What was rejected by a constraint that has been mended:
    $ tailrace dlq replay pipeline.yaml --sink copy --code 23514

  All, and away with what the source has changed since:
    $ tailrace dlq replay pipeline.yaml --drop-superseded`

const DROP_EXAMPLES = `
Examples:
    $ tailrace dlq drop pipeline.yaml --sink copy --id 0/16B3748/2
    $ tailrace dlq drop pipeline.yaml --tables 'test_*' --yes`
