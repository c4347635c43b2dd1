import { count, describeBytes, describeSeconds } from '../../../core/quantity.js'
import type { PipelineStatus, Safety, SafetyLevel } from './status.js'

/** What the judgement stands on. */
export type SafetyFacts = Pick<
  PipelineStatus,
  'state' | 'waitingFor' | 'lag' | 'slot' | 'snapshot' | 'deadLetters' | 'errors'
> & {
  readonly connected: boolean
  /** Of a run that stands still for another reason than its operator: whom it waits for, in words. */
  readonly stalled: string | null
  /** How long it is in its state. */
  readonly seconds: number
}

/** So far behind is worth a look, whatever the slot may hold. */
const LONG_LAG_SECONDS = 300
/** Without a limit this fills the disk some day; a reader that keeps up holds a few segments of 16 MB. */
const MUCH_WAL_BYTES = 10 * 1024 ** 3

interface Reason {
  readonly level: SafetyLevel
  /** For the top of a page. */
  readonly words: string
  readonly why: string
}

/** Whether the data is safe, in words. Pure. */
export function judgeSafety(facts: SafetyFacts): Safety {
  const reasons = [...ofSlot(facts), ...ofState(facts), ...ofSinks(facts), ...ofLag(facts)]
  const worst = reasons.find(({ level }) => level === 'in_trouble') ?? reasons.find(({ level }) => level === 'at_risk')
  const level = worst?.level ?? 'safe'
  const why = [...reasons].sort((a, b) => ORDER.indexOf(a.level) - ORDER.indexOf(b.level)).map((one) => one.why)
  return { level, words: worst?.words ?? wordsOfSafe(facts), why }
}

const ORDER: readonly SafetyLevel[] = ['in_trouble', 'at_risk', 'safe']

function wordsOfSafe({ state, snapshot }: SafetyFacts): string {
  if (state === 'stopped') return 'Your data is safe: everything was delivered, and the pipeline has ended.'
  const left = snapshot.filter(({ done }) => !done).length
  if (state === 'snapshot' && left > 0) {
    return `Your data is safe: the rows of ${count(left)} ${left === 1 ? 'table' : 'tables'} are being read, and changes are kept for after that.`
  }
  return 'Your data is safe: every change is delivered as it comes.'
}

function* ofSlot({ slot, state }: SafetyFacts): Iterable<Reason> {
  if (slot === null) return
  const { level, retainedBytes, limitBytes, secondsToLimit } = slot
  const held = describeBytes(retainedBytes)
  if (level === 'lost') {
    yield {
      level: 'in_trouble',
      words: 'Changes are missing: the server has given up what it kept for this pipeline.',
      why: 'The replication slot is lost; the tables have to be read anew.',
    }
  } else if (level === 'reached') {
    yield {
      level: 'in_trouble',
      words: 'Changes may be lost any moment: the server keeps more for this pipeline than it is allowed to.',
      why: `The server keeps ${held} of WAL${limitBytes === null ? '' : `, and ${describeBytes(limitBytes)} are allowed`}; at its next checkpoint it may take the slot away.`,
    }
  } else if (level === 'near') {
    yield {
      level: 'in_trouble',
      words: `Changes will be lost ${secondsToLimit === null ? 'soon' : `in about ${describeSeconds(secondsToLimit)}`} unless this pipeline catches up.`,
      why: `The server keeps ${held} of WAL for it, of ${describeBytes(limitBytes ?? 0)} that are allowed.`,
    }
  } else if (level === 'half') {
    yield {
      level: 'at_risk',
      words: 'Nothing is lost, but the server keeps more and more for this pipeline.',
      why: `The server keeps ${held} of WAL for it, more than half of the ${describeBytes(limitBytes ?? 0)} that are allowed${secondsToLimit === null ? '' : `; the limit is reached in about ${describeSeconds(secondsToLimit)}`}.`,
    }
  } else if (limitBytes === null && retainedBytes >= MUCH_WAL_BYTES && state !== 'stopped') {
    yield {
      level: 'at_risk',
      words: 'Nothing is lost, but the server keeps much for this pipeline, and nothing limits that but its disk.',
      why: `The server keeps ${held} of WAL for it, and max_slot_wal_keep_size is not set.`,
    }
  }
}

function* ofState({ state, waitingFor, stalled, errors, connected, slot, seconds }: SafetyFacts): Iterable<Reason> {
  const last = errors[0]
  const cause = last === undefined ? '' : ` ${sentence(last.message)}`
  const kept = slot === null ? 'what comes meanwhile is read when it goes on' : 'the server keeps what comes meanwhile'
  if (state === 'failed') {
    yield {
      level: 'in_trouble',
      words: `The pipeline has stopped with an error; ${kept}.`,
      why: `It stopped with an error.${cause}`,
    }
  } else if (state === 'paused') {
    yield {
      level: 'at_risk',
      words: `Paused: nothing is delivered; ${kept}.`,
      why: `It was paused ${describeSeconds(Math.round(seconds))} ago, by request.`,
    }
  } else if (state === 'retrying') {
    const what = connected ? 'a sink cannot be written to' : 'the database cannot be reached'
    yield {
      level: 'at_risk',
      words: `Nothing is lost, but ${what}; ${kept}.`,
      why: `It has been tried again for ${describeSeconds(Math.round(seconds))}.${cause}`,
    }
  } else if (state === 'starting') {
    yield {
      level: 'at_risk',
      words: waitingFor === null ? 'Starting: nothing is known yet.' : 'Starting: it has to wait before it can begin.',
      why: waitingFor === null ? 'It has not begun to read.' : sentence(waitingFor),
    }
  } else if (waitingFor !== null) {
    yield { level: 'at_risk', words: `Nothing is lost, but it has to wait; ${kept}.`, why: sentence(waitingFor) }
  }
  if (stalled !== null && state !== 'paused') {
    yield { level: 'at_risk', words: `Nothing is lost, but it stands still; ${kept}.`, why: sentence(stalled) }
  }
}

function* ofSinks({ deadLetters }: SafetyFacts): Iterable<Reason> {
  for (const { sink: name, waiting } of deadLetters) {
    if (waiting === 0) continue
    const records = `${count(waiting)} ${waiting === 1 ? 'record' : 'records'}`
    yield {
      level: 'at_risk',
      words: 'Some records could not be delivered, and were put aside for you to look at.',
      why: `The sink ${name} has put ${records} aside as dead letters.`,
    }
  }
}

function* ofLag({ lag, state }: SafetyFacts): Iterable<Reason> {
  if (lag.seconds === null || lag.seconds < LONG_LAG_SECONDS || state !== 'streaming') return
  yield {
    level: 'at_risk',
    words: `Nothing is lost, but it is ${describeSeconds(lag.seconds)} behind.`,
    why: `The last change that was taken is ${describeSeconds(lag.seconds)} old, and ${describeBytes(lag.bytes ?? 0)} of WAL follow it.`,
  }
}

/** As the log has it, as a sentence. */
function sentence(text: string): string {
  const [first = ''] = text
  return `${first.toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
}
