import { expect, test } from 'vitest'
import { EventHub, type SourceEvent } from '../../../src/source/events.js'

const event = (n: number): SourceEvent => ({ type: 'streaming', slot: 's', lsn: `0/${n}` })

async function all(events: AsyncIterable<SourceEvent>): Promise<SourceEvent[]> {
  const seen: SourceEvent[] = []
  for await (const one of events) seen.push(one)
  return seen
}

test('a listener gets what happens from its call on, also before it looks', async () => {
  const hub = new EventHub()
  hub.emit(event(1))
  const listening = hub.listen()
  hub.emit(event(2))
  const reading = all(listening)
  hub.emit(event(3))
  hub.end()
  expect(await reading).toEqual([event(2), event(3)])
})

test('each listener gets all of it, and one that stops does not stop the others', async () => {
  const hub = new EventHub()
  const [one, other] = [hub.listen(), hub.listen()]
  hub.emit(event(1))
  for await (const _ of one) break
  hub.emit(event(2))
  hub.end()
  expect(await all(other)).toEqual([event(1), event(2)])
  expect(await all(one)).toEqual([])
})

test('after the end there is nothing to wait for', async () => {
  const hub = new EventHub()
  hub.end()
  expect(await all(hub.listen())).toEqual([])
})

test('of a listener that sleeps the oldest are dropped', async () => {
  const hub = new EventHub()
  const sleeping = hub.listen()
  for (let n = 1; n <= 5000; n++) hub.emit(event(n))
  hub.end()
  const seen = await all(sleeping)
  expect(seen.length).toBeLessThan(2000)
  expect(seen.at(-1)).toEqual(event(5000))
})
