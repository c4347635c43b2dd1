import { useState } from 'preact/hooks'
import { pause, Refusal, resnapshot, resume } from '../api.js'
import { duration } from '../format.js'
import { SafetyIcon } from './icons.js'
import type { PipelineProps } from './pipeline.js'

const STATES = {
  starting: 'starting',
  snapshot: 'reading rows',
  streaming: 'streaming',
  paused: 'paused',
  retrying: 'trying again',
  failed: 'failed',
  stopped: 'ended',
} as const

/** Whether the data is safe, and what can be done here. */
export function Verdict({ pipeline, now, refresh }: PipelineProps) {
  const { safety, state, since, name, source, waitingFor } = pipeline
  const { level, words, why } = safety
  const [, lead = '', rest = words] = /^([^:]*: )(.*)$/.exec(words) ?? []
  const seconds = Math.max(0, Math.round((now - Date.parse(since)) / 1000))
  const place = [source.database, [source.host, source.port].filter((one) => one !== null).join(':')]
  return (
    <section class={`verdict ${level}`} aria-label="Is my data safe?">
      <SafetyIcon level={level} />
      <div class="verdict-words">
        <div role="status">
          <h1>
            {lead !== '' && <strong>{lead}</strong>}
            {lead === '' ? words : rest}
          </h1>
        </div>
        {why.length > 0 && (
          <ul>
            {why.map((one) => (
              <li key={one}>{one}</li>
            ))}
          </ul>
        )}
        <p class="about">
          <b>{name}</b> · {STATES[state]} for {duration(seconds)}
          {waitingFor !== null && ` · ${waitingFor}`} · {place.filter((one) => one !== null && one !== '').join(' on ')}
          {source.serverVersion !== null && ` · PostgreSQL ${source.serverVersion}`}
        </p>
      </div>
      <Actions pipeline={pipeline} now={now} refresh={refresh} />
    </section>
  )
}

function Actions({ pipeline, refresh }: PipelineProps) {
  const { name, state, tables, snapshot } = pipeline
  const [busy, setBusy] = useState<string>()
  const [said, setSaid] = useState<{ readonly text: string; readonly bad: boolean }>()
  const [asks, setAsks] = useState(false)
  const ended = state === 'failed' || state === 'stopped'
  const known = [...new Set([...tables, ...snapshot].map(({ table }) => table))].sort()
  const act = async (what: string, work: () => Promise<unknown>, done: string) => {
    setBusy(what)
    setSaid(undefined)
    try {
      await work()
      setSaid({ text: done, bad: false })
      setAsks(false)
    } catch (error) {
      const hint = error instanceof Refusal ? ` ${error.hint}` : ''
      setSaid({ text: `${(error as Error).message}.${hint}`, bad: true })
    }
    setBusy(undefined)
    refresh()
  }
  const readAgain = (event: SubmitEvent) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget as HTMLFormElement)
    const [table, where] = [String(form.get('table')), String(form.get('where'))]
    void act('read', () => resnapshot(name, table, where), `The rows of ${table} are being read once more.`)
  }
  return (
    <div class="actions">
      <div class="buttons">
        {state === 'paused' ? (
          <button
            type="button"
            class="main"
            disabled={busy !== undefined}
            onClick={() => act('resume', () => resume(name), 'It goes on.')}
          >
            Resume
          </button>
        ) : (
          <button
            type="button"
            disabled={busy !== undefined || ended}
            onClick={() => act('pause', () => pause(name), 'It is paused: the server keeps what comes.')}
          >
            Pause
          </button>
        )}
        <button
          type="button"
          aria-expanded={asks}
          disabled={ended || known.length === 0}
          onClick={() => setAsks(!asks)}
        >
          Read a table again
        </button>
      </div>
      {asks && (
        <form class="read-again" onSubmit={readAgain}>
          <label>
            Table
            <select name="table">
              {known.map((table) => (
                <option key={table}>{table}</option>
              ))}
            </select>
          </label>
          <label>
            Only rows where (SQL, may be empty)
            <input name="where" placeholder="id > 100" autocomplete="off" spellcheck={false} />
          </label>
          <button type="submit" class="main" disabled={busy !== undefined}>
            {busy === 'read' ? 'Asking …' : 'Read'}
          </button>
        </form>
      )}
      <p class={said?.bad === true ? 'said bad' : 'said'} role="status">
        {said?.text}
      </p>
    </div>
  )
}
