/** A path of the HTTP interface. */
export interface Route {
  readonly method: 'GET' | 'POST'
  /** As it stands in the URL, without a query. */
  readonly path: string
  /** It tells nothing of the data, and needs no token; default: it does. */
  readonly open?: boolean
  /** What it reads may be large: of such requests only a few are answered at a time. Default: it is not. */
  readonly costly?: boolean
  /** Throws a TailraceError for what cannot be done. */
  answer(request: RouteRequest): Answer | Promise<Answer>
}

export interface RouteRequest {
  readonly query: URLSearchParams
  /** Of a POST: the JSON object that it must be. */
  readonly body: Readonly<Record<string, unknown>>
  /** Whoever asked has gone. */
  readonly gone: () => boolean
}

export interface Answer {
  /** Default: 200. */
  readonly status?: number
  /** Default: JSON. */
  readonly type?: string
  readonly body: string | Uint8Array
  /** Beside those of every answer, which they replace. */
  readonly headers?: Readonly<Record<string, string>>
}

export const JSON_TYPE = 'application/json; charset=utf-8'
export const TEXT_TYPE = 'text/plain; charset=utf-8'

export function json(value: unknown, status = 200): Answer {
  return { status, body: JSON.stringify(value) }
}
