import { defineError } from './tailraceError.js'

/** What an endpoint said to a request, or did in place of an answer. `url` without credentials. */
export interface Answered {
  readonly url: string
  readonly status: number
  /** The first bytes of its body; empty: it had none. */
  readonly body: string
}

const said = ({ url, status, body }: Answered) => `${url} answered ${status}${body === '' ? '' : `: ${body}`}`

export const WEBHOOK_UNREACHABLE = defineError('WEBHOOK_UNREACHABLE', {
  retry: 'later',
  message: (e: { url: string; problem: string }) => `cannot reach ${e.url}: ${e.problem}`,
  hint: 'Check host and port, that something listens there, and that its certificate has not expired. What was not accepted is sent again.',
})

export const WEBHOOK_TIMEOUT = defineError('WEBHOOK_TIMEOUT', {
  retry: 'later',
  message: (e: { url: string; seconds: number }) => `${e.url} has not answered within ${e.seconds} s`,
  hint: 'Answer before the work is done, or raise timeout_ms. The request may have been worked on all the same, and is sent again with the same webhook-id.',
})

export const WEBHOOK_UNAVAILABLE = defineError('WEBHOOK_UNAVAILABLE', {
  retry: 'later',
  message: said,
  hint: 'The endpoint asks for another try, or has failed itself: look into its log. What was not accepted is sent again.',
})

export const WEBHOOK_REFUSED = defineError('WEBHOOK_REFUSED', {
  retry: 'operator',
  message: said,
  hint: 'This status is of the endpoint, not of a record (endpoint_statuses): check url, method, headers and the credentials in them, and start again.',
})

export const WEBHOOK_RECORD_REFUSED = defineError('WEBHOOK_RECORD_REFUSED', {
  retry: 'operator',
  message: (e: Answered & { table: string; id: string }) => `of a record of ${e.table} (id ${e.id}) ${said(e)}`,
  hint: 'Have the endpoint take such records, or leave them out with a processor, and start again; or have them put aside: on_error: dead-letter.',
})

export const WEBHOOK_REDIRECTED = defineError('WEBHOOK_REDIRECTED', {
  retry: 'operator',
  message: (e: { url: string; status: number; location: string }) =>
    `${e.url} answered ${e.status}, a redirect to ${e.location}, and redirects are not followed`,
  hint: 'Set url to where the endpoint is now, if that is where records are meant to go.',
})
