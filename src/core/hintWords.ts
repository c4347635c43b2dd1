/** How a home's users write settings, who have no command line of ours. */
export interface SettingWords {
  /** The name of a setting, from that of the library. */
  readonly nameOf: (name: string) => string
  /** A setting with its value. */
  readonly withValue: (name: string, value: string) => string
  /** Other texts, and what stands for them. */
  readonly others: readonly (readonly [string, string])[]
}

/** `--keyless inserts (keyless)`, `--slot (slot)`, `--publication of that name (publication)`. */
const OPTION = /(?<![^\s(])--[a-z-]+( [a-z ]+)? \((\w+)\)/g
const BARE_OPTION = /(?<![^\s(])--([a-z-]+)/g
/** What is to be typed as it stands, and names. */
const AS_IT_STANDS = /(`[^`]*`|"[^"\n]*")/

/** A hint, or what an event tells, that was written for the command line: in a home's own words. Pure. */
export function inWordsOf({ nameOf, withValue, others }: SettingWords, hint: string): string {
  let text = hint
  for (const [theirs, ours] of others) text = text.replace(theirs, () => ours)
  const inWords = (part: string) =>
    part
      .replaceAll(OPTION, (_, given: string | undefined, name: string) => {
        const value = given?.trim()
        if (value === undefined) return nameOf(name)
        return value.includes(' ') ? `${nameOf(name)} ${value}` : withValue(nameOf(name), value)
      })
      .replaceAll(BARE_OPTION, (_, name: string) => nameOf(camelCase(name)))
  return text
    .split(AS_IT_STANDS)
    .map((part, i) => (i % 2 === 1 ? part : inWords(part)))
    .join('')
}

function camelCase(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
