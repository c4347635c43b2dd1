import { inspect } from 'node:util'
import { wantsColour } from '../colour.js'
import { outputError } from '../print.js'

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan'

/** A piece of a line. */
export interface Piece {
  readonly text: string
  readonly style?: Style | undefined
}

/** Standard output: coloured and cut to its width where it is a terminal, plain and whole in a pipe or file. */
export class Terminal {
  readonly #stream: NodeJS.WriteStream
  readonly #coloured: boolean

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
    this.#coloured = wantsColour(stream, process.env)
    // Told to whoever writes; without a listener it would end the process.
    stream.on('error', () => {})
  }

  /** Lines of ours, not of the data. */
  say(...lines: readonly string[]): Promise<void> {
    return this.#write(lines)
  }

  /** Before a part of its own. */
  heading(text: string): Promise<void> {
    return this.#write(['', this.#paint({ text: `── ${text} ──`, style: 'bold' })])
  }

  /** Of less weight. */
  note(text: string): Promise<void> {
    return this.#write([this.#paint({ text, style: 'dim' })])
  }

  /** Lines of the data, each on one line of the terminal. */
  print(lines: readonly (readonly Piece[])[]): Promise<void> {
    // Some terminals say 0: they do not know.
    const width = (this.#stream.isTTY && this.#stream.columns) || Number.POSITIVE_INFINITY
    return this.#write(
      lines.map((line) =>
        cut(line, width)
          .map((piece) => this.#paint(piece))
          .join('')
          .trimEnd(),
      ),
    )
  }

  /** Resolves when whoever reads has taken them, or the system holds them for him. */
  #write(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#stream.write(`${lines.join('\n')}\n`, (error) => (error ? reject(outputError(error)) : resolve()))
    })
  }

  #paint({ text, style }: Piece): string {
    if (style === undefined || !this.#coloured || text === '') return text
    // Not by `styleText`, which asks the environment in its own way, and another one in each Node.
    const [open, close] = inspect.colors[style]!
    return `\x1b[${open}m${text}\x1b[${close}m`
  }
}

/** At most `width` characters of a line: a longer one would break and spoil the columns. */
export function cut(line: readonly Piece[], width: number): readonly Piece[] {
  const length = line.reduce((sum, { text }) => sum + [...text].length, 0)
  if (length <= width) return line
  const pieces: Piece[] = []
  let room = width - 1
  for (const { text, style } of line) {
    const characters = [...text].slice(0, room)
    pieces.push({ text: characters.join(''), style })
    room -= characters.length
  }
  return [...pieces, { text: '…' }]
}
