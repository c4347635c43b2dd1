import { Command } from 'commander'
import { diagnose } from '../../source/doctor/diagnose.js'
import { PLATFORMS, type Platform } from '../../source/doctor/platform.js'
import { readFacts } from '../../source/doctor/readFacts.js'
import { parseOptions, type SourceOptions } from '../../source/options.js'
import { wantsColour } from '../colour.js'
import { print } from '../print.js'
import { collect, plainOption, settingOption } from '../settingOptions.js'
import { count, type Report, reportAsJson, reportAsText } from './report.js'

/** As commander gives them: names of settings, but `--key` for `keys`. */
interface DoctorOptions extends Omit<SourceOptions, 'tables' | 'keys'> {
  readonly tables?: string
  readonly key?: readonly string[]
  readonly platform?: Platform
  readonly json?: boolean
}

/** `tailrace doctor`: every prerequisite of a run at once, and what mends what is missing. */
export function doctorCommand(finished: (exitCode: number) => void): Command {
  return new Command('doctor')
    .description(
      'Look at everything that capturing needs, and say exactly how to mend what is missing. Changes nothing on the server.',
    )
    .addOption(settingOption('url', '-u, --url <url>'))
    .addOption(settingOption('tables', '-t, --tables <list>'))
    .addOption(settingOption('exclude', '--exclude <list>'))
    .addOption(settingOption('keys', '--key <table:columns>').env('TAILRACE_KEY').argParser(collect))
    .addOption(settingOption('slot', '--slot <name>'))
    .addOption(settingOption('publication', '--publication <name>'))
    .addOption(settingOption('keyless', '--keyless <policy>'))
    .addOption(settingOption('replicationUrl', '--replication-url <url>'))
    .addOption(
      plainOption(
        '--platform <name>',
        'Where the server runs, for the mends. Default: found out from the server.',
      ).choices([...PLATFORMS]),
    )
    .addOption(plainOption('--json', 'Print one JSON document.'))
    .addHelpText('after', EXAMPLES)
    .action(async (options: DoctorOptions) => finished(await runDoctor(options)))
}

async function runDoctor({ key, platform, json, tables, ...settings }: DoctorOptions): Promise<number> {
  const options = parseOptions({ ...settings, keys: key ?? [], tables: tables ?? '*' })
  const facts = await readFacts({ options, platform, tablesNamed: tables !== undefined })
  const findings = diagnose(facts)
  const report: Report = { platform: facts.platform, to: facts.ordinary.to, findings }
  await print(json ? reportAsJson(report) : reportAsText(report, wantsColour(process.stdout, process.env)))
  return count(findings).problems === 0 ? 0 : 1
}

const EXAMPLES = `
Every option can also be given as an environment variable: --url as TAILRACE_URL.

Examples:
  Before the first run, with the options of that run:
    $ tailrace doctor --url postgres://app@localhost/shop --tables orders,customers --slot nightly

  The server alone, as JSON, for a script:
    $ tailrace doctor --url postgres://app@localhost/shop --json | jq '.findings[] | select(.status != "ok")'

  Where the application goes through a pooler:
    $ tailrace doctor --url postgres://app@pooler/shop --replication-url postgres://app@db/shop --tables '*'

Exit codes: 0 nothing blocks (there may be warnings); 1 something does; 2 wrong usage.`
