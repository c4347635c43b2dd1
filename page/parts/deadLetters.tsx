import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { LetterLine, LettersAnswer, LetterWhole } from '../../src/homes/pipeline/http/deadLetterAnswers.js'
import { dropLetters, listLetters, Refusal, readLetter, replayLetters, type Which } from '../api.js'
import { plural, time } from '../format.js'

interface DeadLettersProps {
  readonly pipeline: string
  /** How many were put aside since the run began: when that changes there are others. */
  readonly put: number
  readonly changed: () => void
}

const SOON_MS = 1500

/** What the sinks have rejected, to be looked at, written again or dropped. */
export function DeadLetters({ pipeline, put, changed }: DeadLettersProps) {
  const [found, setFound] = useState<LettersAnswer>()
  const [problem, setProblem] = useState<string>()
  const [said, setSaid] = useState<{ readonly text: string; readonly bad: boolean }>()
  const [busy, setBusy] = useState(false)
  const [shown, setShown] = useState<LetterWhole>()
  const look = useCallback(async () => {
    try {
      setFound(await listLetters(pipeline))
      setProblem(undefined)
    } catch (error) {
      setProblem((error as Error).message)
    }
  }, [pipeline])
  useEffect(() => {
    void look()
    // What is put aside just now is listed when the run has recorded it.
    const later = setTimeout(look, SOON_MS)
    return () => clearTimeout(later)
  }, [look, put])
  const act = async (work: () => Promise<{ readonly text: string; readonly bad: boolean }>) => {
    setBusy(true)
    setSaid(undefined)
    try {
      setSaid(await work())
    } catch (error) {
      const hint = error instanceof Refusal ? ` ${error.hint}` : ''
      setSaid({ text: `${(error as Error).message}.${hint}`, bad: true })
    }
    await look()
    setBusy(false)
    changed()
  }
  const replay = (which: Which & { readonly force?: boolean }) =>
    act(async () => replayed(await replayLetters(pipeline, which)))
  const drop = (which: Which, what: string) => {
    if (!confirm(`Take ${what} out for good? Nothing else has what it says.`)) return
    void act(async () => {
      await dropLetters(pipeline, which)
      return { text: `${what.slice(0, 1).toUpperCase()}${what.slice(1)} was taken out.`, bad: false }
    })
  }
  const letters = found?.letters ?? []
  if (letters.length === 0 && problem === undefined && said === undefined) return null
  return (
    <section class="card" aria-label="Dead letters">
      <h2>
        Dead letters <span class="muted">records that a sink has rejected</span>
        {letters.length > 0 && (
          <button type="button" class="main aside" disabled={busy} onClick={() => replay({})}>
            {busy ? 'Writing …' : 'Replay all'}
          </button>
        )}
      </h2>
      <p class={said?.bad === true ? 'said bad' : 'said'} role="status">
        {said?.text}
      </p>
      {problem !== undefined && <p class="said bad">They cannot be listed: {problem}.</p>}
      {letters.length > 0 && (
        <ul class="letters">
          {letters.map((letter) => (
            <Letter
              key={`${letter.sink} ${letter.number}`}
              letter={letter}
              busy={busy}
              show={() =>
                readLetter(pipeline, letter.sink, letter.number).then(setShown, (error) =>
                  setSaid({ text: error.message, bad: true }),
                )
              }
              replay={() => replay({ sink: letter.sink, number: letter.number })}
              drop={() =>
                drop({ sink: letter.sink, number: letter.number }, `the letter of ${letter.target} ${letter.key}`)
              }
            />
          ))}
        </ul>
      )}
      {found?.more === true && (
        <p class="muted">There are more than {plural(letters.length, 'letter')}: tailrace dlq list shows them.</p>
      )}
      {letters.length === 0 && problem === undefined && <p class="muted">There is none now.</p>}
      {shown !== undefined && <Whole letter={shown} close={() => setShown(undefined)} />}
    </section>
  )
}

function replayed({ results, kept }: Awaited<ReturnType<typeof replayLetters>>) {
  const sum = (name: 'written' | 'superseded' | 'failed') => results.reduce((all, one) => all + one[name], 0)
  const [written, superseded, failed] = [sum('written'), sum('superseded'), sum('failed')]
  const parts = [
    ...(written > 0 ? [`${plural(written, 'record')} written again`] : []),
    ...(failed > 0 ? [`${plural(failed, 'record')} rejected again`] : []),
    ...(superseded > 0 ? [`${plural(superseded, 'record')} left, since the source has something newer`] : []),
  ]
  const [first] = kept
  const why = first === undefined ? '' : ` ${first.message}. ${first.hint}`
  return { text: `${parts.join(', ') || 'There was nothing to write'}.${why}`, bad: failed + superseded > 0 }
}

interface LetterProps {
  readonly letter: LetterLine
  readonly busy: boolean
  readonly show: () => void
  readonly replay: () => void
  readonly drop: () => void
}

function Letter({ letter, busy, show, replay, drop }: LetterProps) {
  const { sink, at, target, operation, key, problem, sqlstate, hint } = letter
  const what = `${operation} of ${target} ${key}`
  return (
    <li>
      <div class="letter-words">
        <p class="head">
          <b>
            {operation} {target}
          </b>{' '}
          <code>{key}</code>
          <span class="muted">
            sink {sink} · {time(at)}
          </span>
        </p>
        <p>
          {problem} {sqlstate !== null && <span class="muted">SQLSTATE {sqlstate}</span>}
        </p>
        <p class="mend">
          <b>What to do:</b> {hint}
        </p>
      </div>
      <div class="buttons">
        <button type="button" disabled={busy} aria-label={`Replay: ${what}`} onClick={replay}>
          Replay
        </button>
        <button type="button" disabled={busy} aria-label={`Show: ${what}`} onClick={show}>
          Show
        </button>
        <button type="button" disabled={busy} aria-label={`Drop: ${what}`} onClick={drop}>
          Drop
        </button>
      </div>
    </li>
  )
}

function Whole({ letter, close }: { readonly letter: LetterWhole; readonly close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current!.showModal(), [])
  return (
    <dialog ref={dialog} onClose={close} aria-label="Dead letter">
      <h2>
        {letter.operation} {letter.target}
      </h2>
      <p>{letter.problem}</p>
      <p class="muted">
        id {letter.id} · sink {letter.sink} · number {letter.number}
      </p>
      <pre>{indented(letter.record)}</pre>
      <form method="dialog">
        <button type="submit" class="main">
          Close
        </button>
      </form>
    </dialog>
  )
}

/** Each member of the record in a line of its own; numbers keep the digits that a parsed one would lose. */
function indented(record: string): string {
  let depth = 0
  return record.replace(/"(?:[^"\\]|\\.)*"|[{}[\],:]/g, (token) => {
    if (token === '{' || token === '[') depth++
    if (token === '}' || token === ']') depth--
    if (depth > 2) return token
    const line = `\n${'  '.repeat(depth)}`
    if (token === '{') return `{${line}`
    if (token === '}') return `${line}}`
    if (token === ',') return `,${line}`
    return token === ':' ? ': ' : token
  })
}
