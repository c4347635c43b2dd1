import { useEffect, useState } from 'preact/hooks'
import type { PipelineStatus } from '../../src/homes/pipeline/status/status.js'
import { duration } from '../format.js'
import { type Link, useStatus } from '../useStatus.js'
import { Pipeline } from './pipeline.js'
import { TokenForm } from './tokenForm.js'

export function Page() {
  const link = useStatus()
  const { status, lost, needsToken } = link
  const chosen = useChosen(status?.pipelines ?? [])
  const title = chosen === undefined ? 'Tailrace' : `${chosen.name} is ${LEVELS[chosen.safety.level]} · Tailrace`
  useEffect(() => {
    document.title = lost === undefined ? title : 'Connection lost · Tailrace'
  }, [title, lost])
  return (
    <>
      <header class="top">
        <span class="brand">
          <svg viewBox="0 0 16 16" width="20" height="20" aria-hidden="true">
            <rect width="16" height="16" rx="4" />
            <path d="M3 6c2.500-2 4 2 6.500 0 1.300-1 2.200-1 3.500 0M3 10.500c2.500-2 4 2 6.500 0 1.300-1 2.200-1 3.500 0" />
          </svg>
          Tailrace
        </span>
        {status !== undefined && status.pipelines.length > 1 && (
          <nav class="pipelines" aria-label="Pipelines">
            {status.pipelines.map((one) => (
              <a
                key={one.name}
                href={`#${encodeURIComponent(one.name)}`}
                aria-current={one.name === chosen?.name ? 'page' : undefined}
                aria-label={`${one.name}, ${LEVELS[one.safety.level]}`}
              >
                <span class={`dot ${one.safety.level}`} aria-hidden="true" />
                {one.name}
              </a>
            ))}
          </nav>
        )}
        <Heard link={link} />
      </header>
      <main class={lost !== undefined && status !== undefined ? 'old' : undefined}>
        {needsToken && <TokenForm given={link.refresh} />}
        {!needsToken && lost !== undefined && <Lost link={link} />}
        {!needsToken && chosen !== undefined && status !== undefined && (
          <Pipeline key={chosen.name} pipeline={chosen} now={Date.parse(status.now)} refresh={link.refresh} />
        )}
        {status === undefined && lost === undefined && <p class="empty">Asking the process how it is …</p>}
      </main>
      {status !== undefined && (
        <footer>
          tailrace {status.version}, running for {duration(Math.max(1, age(status.startedAt, status.now)))}
        </footer>
      )}
    </>
  )
}

const LEVELS = { safe: 'safe', at_risk: 'at risk', in_trouble: 'in trouble' } as const

function age(since: string, now: string): number {
  return Math.round((Date.parse(now) - Date.parse(since)) / 1000)
}

/** By the name behind `#`; without one the first of those that are worst off. */
function useChosen(pipelines: readonly PipelineStatus[]): PipelineStatus | undefined {
  const [hash, setHash] = useState(location.hash)
  useEffect(() => {
    const changed = () => setHash(location.hash)
    addEventListener('hashchange', changed)
    return () => removeEventListener('hashchange', changed)
  }, [])
  const named = pipelines.find(({ name }) => `#${encodeURIComponent(name)}` === hash)
  const order = ['in_trouble', 'at_risk', 'safe']
  const [worst] = [...pipelines].sort((a, b) => order.indexOf(a.safety.level) - order.indexOf(b.safety.level))
  return named ?? worst
}

function Heard({ link: { heardAt, lost } }: { readonly link: Link }) {
  useSeconds()
  if (heardAt === undefined) return null
  const seconds = Math.max(0, Math.round((Date.now() - heardAt) / 1000))
  const isLive = lost === undefined
  return (
    <span class={`heard ${isLive ? 'live' : 'gone'}`}>
      <span class="dot" aria-hidden="true" />
      {isLive ? 'live' : `last heard ${duration(seconds)} ago`}
    </span>
  )
}

function Lost({ link: { lost, heardAt } }: { readonly link: Link }) {
  useSeconds()
  const since = heardAt === undefined ? '' : ` for ${duration(Math.max(1, Math.round((Date.now() - heardAt) / 1000)))}`
  return (
    <section class="lost" role="alert">
      <h2>The connection to the process is lost{since}</h2>
      <p>
        {sentence(lost!)} {heardAt !== undefined && 'What is shown below is how it was then. '}
        If the process has ended, start it again: it goes on where it was. This page keeps asking.
      </p>
    </section>
  )
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
}

/** Draws anew each second: nothing that comes says that time goes by. */
function useSeconds(): void {
  const [, tick] = useState(0)
  useEffect(() => {
    const timer = setInterval(() => tick((seconds) => seconds + 1), 1000)
    return () => clearInterval(timer)
  }, [])
}
