import { Command } from 'commander'
import { plainOption } from '../settingOptions.js'
import { type RunOptions, runFile } from './runFile.js'
import { validateFile } from './validateFile.js'

/** `tailrace run`: a source and its sinks, as a file says. */
export function runCommand(finished: (exitCode: number) => void): Command {
  return new Command('run')
    .description('Run a pipeline from its YAML file: the rows of tables, then every change, to one sink or several.')
    .argument('<file>', 'The pipeline, such as pipeline.yaml.')
    .addOption(
      plainOption('--control <path>', 'Listen here for "tailrace signal". Default: beside the pipeline’s state file.'),
    )
    .addOption(plainOption('--no-control', 'Take no signals.'))
    .addOption(plainOption('-q, --quiet', 'Say only what goes wrong, and what is waited for.').conflicts('verbose'))
    .addOption(plainOption('-v, --verbose', 'Say more: what is connected to, made and finished.'))
    .addOption(
      plainOption(
        '--log <format>',
        'How to say it on standard error: text, or a JSON object a line. Default: text on a terminal, json elsewhere.',
      ).choices(['text', 'json']),
    )
    .addHelpText('after', RUN_EXAMPLES)
    .action(async (file: string, options: RunOptions) => finished(await runFile(file, options)))
}

/** `tailrace validate`: what is wrong with a pipeline's file, without a connection to anything. */
export function validateCommand(finished: (exitCode: number) => void): Command {
  return new Command('validate')
    .description('Show every mistake in a pipeline’s YAML file, with its line and column. Connects to nothing.')
    .argument('<file>', 'The pipeline, such as pipeline.yaml.')
    .addHelpText('after', VALIDATE_EXAMPLES)
    .action(async (file: string) => finished(await validateFile(file)))
}

const RUN_EXAMPLES = `
The pipeline keeps how far each sink is beside its file, in pipeline.state: killed and started again it goes on there.
docs/pipelines.md has all settings.

Examples:
    $ tailrace run pipeline.yaml
    $ DATABASE_URL=postgres://app@localhost/shop tailrace run pipeline.yaml --quiet 2>> pipeline.log
    $ tailrace signal status --state pipeline.state

Exit codes: 0 the end, also by SIGINT or SIGTERM; 1 an error; 2 wrong usage, or a mistake in the file; 141 standard
output was closed.`

const VALIDATE_EXAMPLES = `
Variables of the environment that the file names must be set. Their values are never printed.

Examples:
    $ tailrace validate pipeline.yaml
    $ DATABASE_URL=postgres://app@localhost/shop tailrace validate pipeline.yaml

Exit codes: 0 the file can be run; 2 it has mistakes, or cannot be read.`
