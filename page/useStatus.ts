import { useEffect, useRef, useState } from 'preact/hooks'
import type { Status } from '../src/homes/pipeline/status/status.js'
import { Refusal, readStatus } from './api.js'

const POLL_MS = 1000
/** Of a tab that nobody sees. */
const HIDDEN_MS = 15_000
/** A sample of the last hour comes so often. */
const HISTORY_MS = 10_000

export interface Link {
  /** The last that was heard. */
  readonly status: Status | undefined
  /** Milliseconds since 1970, by this machine. */
  readonly heardAt: number | undefined
  /** Why nothing is heard; undefined: something was, just now. */
  readonly lost: string | undefined
  /** A token is asked for; `refused`: one was given, and it was wrong. */
  readonly needsToken: boolean
  /** Asks at once. */
  readonly refresh: () => void
}

/** The status of the process, asked for again and again, one question at a time. */
export function useStatus(): Link {
  const [link, setLink] = useState<Omit<Link, 'refresh'>>({
    status: undefined,
    heardAt: undefined,
    lost: undefined,
    needsToken: false,
  })
  const again = useRef<() => void>(() => {})
  useEffect(() => {
    let ended = false
    let timer: ReturnType<typeof setTimeout> | undefined
    let asking = false
    let wanted = false
    let historyAt = Number.NEGATIVE_INFINITY
    const look = async () => {
      clearTimeout(timer)
      if (asking) {
        wanted = true
        return
      }
      asking = true
      const withHistory = performance.now() - historyAt >= HISTORY_MS
      try {
        const status = await readStatus(withHistory)
        if (withHistory) historyAt = performance.now()
        setLink((before) => ({
          status: withHistory ? status : withHistoryOf(status, before.status),
          heardAt: Date.now(),
          lost: undefined,
          needsToken: false,
        }))
      } catch (error) {
        historyAt = Number.NEGATIVE_INFINITY
        const needsToken = error instanceof Refusal && error.status === 401
        const lost = error instanceof Refusal ? error.message : 'nobody answers at this address'
        setLink((before) => ({ ...before, lost, needsToken }))
      }
      asking = false
      if (ended) return
      timer = setTimeout(look, wanted ? 0 : document.hidden ? HIDDEN_MS : POLL_MS)
      wanted = false
    }
    const seen = () => {
      if (!document.hidden) void look()
    }
    again.current = () => void look()
    document.addEventListener('visibilitychange', seen)
    void look()
    return () => {
      ended = true
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', seen)
    }
  }, [])
  return { ...link, refresh: () => again.current() }
}

function withHistoryOf(status: Status, before: Status | undefined): Status {
  if (before === undefined) return status
  const known = new Map(before.pipelines.map(({ name, history }) => [name, history]))
  const pipelines = status.pipelines.map((one) => ({ ...one, history: known.get(one.name) ?? one.history }))
  return { ...status, pipelines }
}
