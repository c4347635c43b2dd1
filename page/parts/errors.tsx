import type { ErrorStatus } from '../../src/homes/pipeline/status/status.js'
import { count, duration, time } from '../format.js'
import type { PipelineProps } from './pipeline.js'

const SHOWN = 5

/** The last errors, each with what mends it. */
export function Errors({ pipeline, now }: PipelineProps) {
  const { errors } = pipeline
  return (
    <section class="card" aria-label="Last errors">
      <h2>Last errors and warnings</h2>
      <ul class="errors">
        {errors.slice(0, SHOWN).map((error) => (
          <OneError key={`${error.where} ${error.code} ${error.message}`} error={error} now={now} />
        ))}
      </ul>
      {errors.length > SHOWN && (
        <details>
          <summary>{count(errors.length - SHOWN)} earlier</summary>
          <ul class="errors">
            {errors.slice(SHOWN).map((error) => (
              <OneError key={`${error.where} ${error.code} ${error.message}`} error={error} now={now} />
            ))}
          </ul>
        </details>
      )}
    </section>
  )
}

function OneError({ error, now }: { readonly error: ErrorStatus; readonly now: number }) {
  const { at, count: times, severity, where, code, message, hint, retryAt } = error
  const left = retryAt === null ? undefined : Math.round((Date.parse(retryAt) - now) / 1000)
  return (
    <li class={severity}>
      <p class="head">
        <span class="tag">{severity}</span>
        <code>{code}</code>
        <span class="muted">
          {where} · {time(at)}
          {times > 1 && ` · ${count(times)} times`}
        </span>
        {left !== undefined && (
          <b class="retry">{left > 0 ? `tried again in ${duration(left)}` : 'being tried again'}</b>
        )}
      </p>
      <p>{message}</p>
      {hint !== '' && (
        <p class="mend">
          <b>What to do:</b> {hint}
        </p>
      )}
    </li>
  )
}
