import { Command, InvalidArgumentError } from 'commander'
import { plainOption } from '../settingOptions.js'
import { type RunOptions, runFile } from './runFile.js'
import { validateFile } from './validateFile.js'

/** `tailrace run`: a source and its sinks, as a file says. */
export function runCommand(finished: (exitCode: number) => void): Command {
  return new Command('run')
    .alias('start')
    .description(
      'Run a pipeline from its YAML file, ours or one of Blink’s: the rows of tables, then every change, to one sink or several. Of a folder, all pipelines in it.',
    )
    .argument('[file]', 'The pipeline, such as pipeline.yaml, or a folder of them. Default: blink.yaml.')
    .addOption(plainOption('-c, --config <file>', 'The same, as Blink’s command has it.'))
    .addOption(
      plainOption('--control <path>', 'Listen here for "tailrace signal". Default: beside the pipeline’s state file.'),
    )
    .addOption(plainOption('--no-control', 'Take no signals.'))
    .addOption(
      plainOption(
        '--http <address>',
        'Listen here over HTTP: status, metrics, pause and signals. Another address than one of this machine alone needs a token. Default: as the file says, else nowhere.',
      ),
    )
    .addOption(
      plainOption('--http-token <token>', 'What whoever asks over HTTP has to know; others see a command line.'),
    )
    .addOption(plainOption('--http-token-file <file>', 'The same from a file.'))
    .addOption(plainOption('-q, --quiet', 'Say only what goes wrong, and what is waited for.').conflicts('verbose'))
    .addOption(plainOption('-v, --verbose', 'Say more: what is connected to, made and finished.'))
    .addOption(
      plainOption(
        '--log <format>',
        'How to say it on standard error: text, or a JSON object a line. Default: text on a terminal, json elsewhere.',
      ).choices(['text', 'json']),
    )
    .addHelpText('after', RUN_EXAMPLES)
    .action(async (file: string | undefined, options: RunOptions & WithConfig) =>
      finished(await runFile(fileOf(file, options), options)),
    )
}

/** `tailrace validate`: what is wrong with a pipeline's file, without a connection to anything. */
export function validateCommand(finished: (exitCode: number) => void): Command {
  return new Command('validate')
    .description('Show every mistake in a pipeline’s YAML file, with its line and column. Connects to nothing.')
    .argument('[file]', 'The pipeline, such as pipeline.yaml, or a folder of them. Default: blink.yaml.')
    .addOption(plainOption('-c, --config <file>', 'The same, as Blink’s command has it.'))
    .addHelpText('after', VALIDATE_EXAMPLES)
    .action(async (file: string | undefined, options: WithConfig) =>
      finished(await validateFile(fileOf(file, options))),
    )
}

interface WithConfig {
  readonly config?: string
}

/** What Blink's command runs when it is told nothing. */
const USUAL_FILE = 'blink.yaml'

function fileOf(file: string | undefined, { config }: WithConfig): string {
  if (file !== undefined && config !== undefined && file !== config) {
    throw new InvalidArgumentError(`one pipeline is run, and both ${file} and --config ${config} are named`)
  }
  return file ?? config ?? USUAL_FILE
}

const RUN_EXAMPLES = `
The pipeline keeps how far each sink is beside its file, in pipeline.state: killed and started again it goes on there.
docs/pipelines.md has all settings, docs/blink.md is for files of Blink’s, docs/http.md says what is asked over HTTP.
Of a folder each *.yaml and *.yml is a pipeline; one that fails leaves the others running, and the exit code says so.

Examples:
    $ tailrace run pipeline.yaml
    $ tailrace run -c blink.yaml
    $ DATABASE_URL=postgres://app@localhost/shop tailrace run pipeline.yaml --quiet 2>> pipeline.log
    $ tailrace signal status --state pipeline.state
    $ tailrace run pipelines/ --http 127.0.0.1:8080

Exit codes: 0 the end, also by SIGINT or SIGTERM; 1 an error; 2 wrong usage, or a mistake in the file; 141 standard
output was closed.`

const VALIDATE_EXAMPLES = `
Variables of the environment that the file names must be set. Their values are never printed.

Examples:
    $ tailrace validate pipeline.yaml
    $ DATABASE_URL=postgres://app@localhost/shop tailrace validate pipeline.yaml

Exit codes: 0 the file can be run; 2 it has mistakes, or cannot be read.`
