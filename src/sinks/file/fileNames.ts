import { basename, dirname, join } from 'node:path'

const PLACEHOLDER = /\{([^{}]*)\}/g
const KNOWN = ['date', 'time', 'number']
const NUMBER_DIGITS = 6

/** The placeholders of a file's path, and those that are none. */
export function placeholdersOf(path: string): {
  readonly known: readonly string[]
  readonly unknown: readonly string[]
} {
  const names = [...path.matchAll(PLACEHOLDER)].map(([, name]) => name!)
  return {
    known: names.filter((name) => KNOWN.includes(name)),
    unknown: names.filter((name) => !KNOWN.includes(name)),
  }
}

/**
 * The names of files that follow one another: `out/{date}/orders-{number}.ndjson`. While a file is written it is called
 * after its number alone (`out/orders-000012.ndjson.part`), so that whoever starts after a crash knows which ones there are.
 */
export class FileNames {
  readonly #template: string

  constructor(template: string) {
    this.#template = template
  }

  /** What all names of unfinished files begin with, but for their number. */
  get stem(): string {
    return this.#partPath('')
  }

  /** Of the file with this number while it is written. */
  part(number: number): string {
    return this.#partPath(formatNumber(number))
  }

  /** Of the same one when it is finished; `begun` in milliseconds since 1970, printed in UTC. */
  finished(number: number, begun: number): string {
    const [date, time] = new Date(begun).toISOString().split('T') as [string, string]
    const values: Record<string, string> = {
      date,
      time: time.slice(0, 8).replaceAll(':', ''),
      number: formatNumber(number),
    }
    return this.#template.replace(PLACEHOLDER, (_, name: string) => values[name]!)
  }

  #partPath(number: string): string {
    const name = basename(this.#template).replace(PLACEHOLDER, (_, one: string) => (one === 'number' ? number : ''))
    return join(this.#constantFolder(), `${name}.part`)
  }

  #constantFolder(): string {
    let folder = dirname(this.#template)
    while (folder.includes('{')) folder = dirname(folder)
    return folder
  }
}

function formatNumber(number: number): string {
  return String(number).padStart(NUMBER_DIGITS, '0')
}
