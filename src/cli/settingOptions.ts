import { InvalidArgumentError, Option } from 'commander'
import { describeSettings, type SettingDescription } from '../core/setting.js'
import { sourceSettings } from '../source/settings.js'

const OFF: readonly string[] = ['', '0', 'false', 'no', 'off']

/** `snapshotWorkers` → `snapshot-workers`. */
function flagOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** The variable that stands for an option: `snapshot-workers` → `TAILRACE_SNAPSHOT_WORKERS`. */
function variableOf(flag: string): string {
  return `TAILRACE_${flag.replaceAll('-', '_').toUpperCase()}`
}

/** An option that is no setting of the source. */
export function plainOption(flags: string, description: string): Option {
  const option = new Option(flags, description)
  return fromVariable(option, variableOf(option.name()))
}

/** commander takes a switch for on, whatever its variable says. */
function fromVariable(option: Option, variable: string): Option {
  const off = (option.isBoolean() || option.negate) && OFF.includes(process.env[variable]?.toLowerCase() ?? 'unset')
  return off ? option : option.env(variable)
}

/** A setting of the source as an option: see {@link optionsOf}. */
export const settingOption = optionsOf(sourceSettings)

/**
 * Makes options of a group's settings: description, choices and default from their declaration. `flags` only where the
 * name or value differs from the usual.
 */
export function optionsOf<Shape extends Parameters<typeof describeSettings>[0]>(
  shape: Shape,
): (name: keyof Shape & string, flags?: string) => Option {
  const settings = new Map(describeSettings(shape).map((one) => [one.name, one]))
  return (name, flags) => toOption(settings.get(name)!, flags)
}

function toOption(described: SettingDescription, flags?: string): Option {
  const { name } = described
  const option = new Option(flags ?? usualFlags(described), textOf(described))
  fromVariable(option, variableOf(flagOf(name)))
  if (described.choices !== undefined) option.choices(described.choices)
  if (described.type === 'number') option.argParser(wholeNumber)
  return option
}

function usualFlags({ name, type }: SettingDescription): string {
  return type === 'boolean' ? `--${flagOf(name)}` : `--${flagOf(name)} <${type === 'number' ? 'n' : 'value'}>`
}

function textOf({ description, default: fallback, unit }: SettingDescription): string {
  const shown = fallback === undefined || fallback === false || (Array.isArray(fallback) && fallback.length === 0)
  const facts = [unit, shown ? undefined : `default: ${fallback}`].filter((fact) => fact !== undefined)
  return facts.length === 0 ? description : `${description} (${facts.join(', ')})`
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

/** For options that repeat. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value]
}
