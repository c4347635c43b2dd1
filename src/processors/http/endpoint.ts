import { ValueProblem } from '../sql/problem.js'
import { columnsOf, filled, parsePieces, type TemplatePiece } from './template.js'

/** Stands for a column while the rest is read as a URL; of letters that URLs leave as they are. */
const PLACE = 'tailracecolumn'
const PLACES = new RegExp(`${PLACE}\\d+x`, 'g')

/** An address with columns in its path and its query. */
export class Endpoint {
  readonly columns: readonly string[]
  /** All of it that may stand in messages. */
  readonly origin: string
  readonly #path: readonly TemplatePiece[]
  readonly #query: readonly TemplatePiece[]

  /** Throws what is wrong with it. */
  static parse(template: string): Endpoint {
    const pieces = parsePieces(template)
    const columns = columnsOf(pieces)
    let count = 0
    const text = pieces.map((piece) => ('column' in piece ? `${PLACE}${count++}x` : piece.text)).join('')
    if (!URL.canParse(text)) throw new Error('it is no URL: https://host/path is expected')
    const url = new URL(text)
    if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new Error('it must begin with https:// or http://')
    if (url.username !== '' || url.password !== '') {
      throw new Error('a user or a password does not stand in it, but under basic_auth_user and basic_auth_password')
    }
    const parts = [url.pathname, url.search].map((part) => piecesOf(part, columns))
    const placed = parts.flatMap(columnsOf)
    if (placed.length !== columns.length) throw new Error('columns can stand in its path and its query only')
    return new Endpoint(url.origin, parts[0]!, parts[1]!, columns)
  }

  private constructor(
    origin: string,
    path: readonly TemplatePiece[],
    query: readonly TemplatePiece[],
    columns: readonly string[],
  ) {
    this.origin = origin
    this.#path = path
    this.#query = query
    this.columns = columns
  }

  /** The address for a row: whatever its values are, they stay where they stand. */
  urlFor(textOf: (column: string) => string): URL {
    const encoded = (column: string) => encodeURIComponent(textOf(column))
    const path = filled(this.#path, encoded)
    const url = new URL(this.origin + path + filled(this.#query, encoded))
    // `..` is a way up, however it is written.
    if (url.pathname !== path) throw new ValueProblem('a value would lead to another address than endpoint says')
    return url
  }
}

function piecesOf(part: string, columns: readonly string[]): TemplatePiece[] {
  const pieces: TemplatePiece[] = []
  let from = 0
  for (const { 0: place, index } of part.matchAll(PLACES)) {
    if (index > from) pieces.push({ text: part.slice(from, index) })
    pieces.push({ column: columns[Number(place.slice(PLACE.length, -1))]! })
    from = index + place.length
  }
  if (from < part.length) pieces.push({ text: part.slice(from) })
  return pieces
}
