import { createHmac } from 'node:crypto'

const PREFIX = 'whsec_'
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/
/** What Standard Webhooks asks of a secret. */
const [LEAST_BYTES, MOST_BYTES] = [24, 64]

/** The bytes of a secret as Standard Webhooks writes it (`whsec_` and base64); undefined: it is none. */
export function secretBytes(secret: string): Buffer | undefined {
  const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret
  const bytes = Buffer.from(text, 'base64')
  const isOne = BASE64.test(text) && bytes.length >= LEAST_BYTES && bytes.length <= MOST_BYTES
  return isOne ? bytes : undefined
}

/** `webhook-signature`: one for each secret, so that a receiver may change from one to the next. */
export function sign(
  secrets: readonly Buffer[],
  { id, timestamp, body }: { readonly id: string; readonly timestamp: number; readonly body: readonly Uint8Array[] },
): string {
  const signatures = secrets.map((secret) => {
    const hmac = createHmac('sha256', secret).update(`${id}.${timestamp}.`)
    for (const part of body) hmac.update(part)
    return `v1,${hmac.digest('base64')}`
  })
  return signatures.join(' ')
}
