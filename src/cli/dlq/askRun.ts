import { isIP } from 'node:net'
import type { PipelineConfig } from '../../homes/pipeline/config/pipelineConfig.js'
import { formatAddress } from '../../homes/pipeline/http/address.js'
import type { ReplayAnswer } from '../../homes/pipeline/http/deadLetterAnswers.js'
import { chooseHttp } from '../../homes/pipeline/http/httpChoice.js'
import { Refusal } from '../control/client.js'

/**
 * Has a run write dead letters again, where the pipeline's file says that it listens; undefined: it says nothing of that, or no run of
 * that pipeline answers there. Rejects with what the run refused, as a {@link Refusal}.
 */
export async function askRun(
  path: string,
  { name, http }: PipelineConfig,
  request: Readonly<Record<string, unknown>>,
): Promise<ReplayAnswer | undefined> {
  const choice = await chooseHttp({}, [{ path, http }])
  if (choice === undefined || choice.address.port === 0) return undefined
  const { host, port } = choice.address
  // Where it listens on all addresses.
  const near = host === '0.0.0.0' ? '127.0.0.1' : isIP(host) === 6 && /^[0:]+$/.test(host) ? '::1' : host
  const url = `http://${formatAddress({ host: near, port })}/api/dlq/replay`
  const authorization = choice.token === undefined ? undefined : { authorization: `Bearer ${choice.token}` }
  let answer: Partial<ReplayAnswer> & { readonly error?: { readonly code: string; message: string; hint: string } }
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...authorization },
      body: JSON.stringify({ ...request, pipeline: name }),
    })
    answer = (await response.json()) as typeof answer
  } catch {
    return undefined
  }
  if (answer.error !== undefined) throw new Refusal({ retry: 'operator', ...answer.error })
  return Array.isArray(answer.results) ? (answer as ReplayAnswer) : undefined
}
