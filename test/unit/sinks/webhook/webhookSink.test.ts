import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { HEAD, HEAD_SEQ } from '../../../../src/core/rowBatch.js'
import type { TailraceError } from '../../../../src/core/tailraceError.js'
import type { DeadLetterRow } from '../../../../src/destination/deadLetters.js'
import type { LetterStore } from '../../../../src/sinks/deadLetters/letterStore.js'
import { WithDeadLetters } from '../../../../src/sinks/deadLetters/withDeadLetters.js'
import type { Sink, SinkEvent } from '../../../../src/sinks/sink.js'
import { webhookSettings, webhookSinkType } from '../../../../src/sinks/webhook/webhookSinkType.js'
import type { Batch } from '../../../../src/source/batch.js'
import { EarlyServer } from '../../../support/earlyServer.js'
import { batchOf, tableOf } from '../../../support/processing.js'
import { BatchBuilder } from '../../../support/rowBatches.js'
import { waitFor } from '../../../support/waitFor.js'
import { type ReceivedRequest, WebhookReceiver } from '../../../support/webhookReceiver.js'

const orders = tableOf('orders', ['id int4', 'note text'])

/** Records in the order of their numbers, which are their places in transactions. */
function batchFrom(build: (builder: BatchBuilder) => BatchBuilder, first = 0): Batch {
  const { batch } = build(new BatchBuilder([orders]))
  for (let index = 0; index < batch.count; index++) batch.heads[index * HEAD + HEAD_SEQ] = first + index
  batch.bytes = 100 * batch.count
  return batchOf(batch)
}

const creates = (from: number, to: number) =>
  batchFrom((builder) => {
    for (let id = from; id <= to; id++) builder.create([String(id), 'n'])
    return builder
  }, from)

/** An open sink: `await using sink = await opened({…})`. */
async function opened(given: Readonly<Record<string, unknown>>, wrap: (sink: Sink) => Sink = (sink) => sink) {
  const settings = z.object(webhookSettings).parse(given)
  expect(webhookSinkType.problems(settings)).toEqual([])
  const sink = wrap(webhookSinkType.create(settings, { folder: '/', pipeline: 'shop', sink: 'hook', database: 'd' }))
  const events: SinkEvent[] = []
  sink.listen?.((event) => events.push(event))
  await sink.open(undefined)
  return Object.assign(sink, { events, [Symbol.asyncDispose]: () => sink.close() })
}

const flushed = async (sink: Sink, ...batches: readonly Batch[]) => {
  for (const batch of batches) await sink.write(batch)
  return sink.flush({ end: false })
}

/** Keys of the records in a request; a truncate has none. */
const idsIn = ({ body }: ReceivedRequest): number[] => {
  const parsed = JSON.parse(body)
  return (parsed.data ?? [parsed]).flatMap(({ key }: { key?: { id: number } }) => key?.id ?? [])
}

test('a record is a request: its line, its id, what it is of, and a signature that Standard Webhooks’ own library takes', async () => {
  await using receiver = await WebhookReceiver.start()
  const secrets = ['a', 'b', 'c'].map((letter) => `whsec_${Buffer.alloc(32, letter).toString('base64')}`)
  await using sink = await opened({
    ...{ url: receiver.url.replace('127', 'me:pa%20ss@127'), headers: { 'X-Shop': 'one', 'X-Number': 7 } },
    ...{ secret: secrets.slice(0, 2), method: 'PUT', gzip: true },
  })
  await flushed(
    sink,
    batchFrom((builder) => builder.update(['7', 'ü "x"'])),
  )
  const [{ method, path, headers, body }] = receiver.requests as [ReceivedRequest]
  expect([method, path, receiver.requests.length]).toEqual(['PUT', '/hook', 1])
  expect(JSON.parse(body)).toMatchObject({ operation: 'update', after: { id: 7, note: 'ü "x"' }, id: '0/1/0' })
  expect(headers).toMatchObject({
    ...{ 'content-type': 'application/json', 'content-encoding': 'gzip', 'x-shop': 'one', 'x-number': '7' },
    ...{ 'webhook-id': '0/1/0', 'idempotency-key': '0/1/0', authorization: 'Basic bWU6cGEgc3M=' },
    ...{ 'tailrace-operation': 'update', 'tailrace-schema': 'public', 'tailrace-table': 'orders' },
  })
  const given = headers as Record<string, string>
  for (const secret of secrets.slice(0, 2)) expect(new Webhook(secret).verify(body, given)).toEqual(JSON.parse(body))
  expect(() => new Webhook(secrets[2]!).verify(body, given)).toThrow('No matching signature')
  expect(() => new Webhook(secrets[0]!).verify(body.replace('x', 'y'), given)).toThrow('No matching signature')
})

test('records in a request: three bodies; each has the ids of its records, and of the same records always the same id', async () => {
  await using receiver = await WebhookReceiver.start()
  const bodies = []
  for (const [more, times] of [
    [{}, 2],
    [{ format: 'row' }, 1],
    [{ batch_body: 'array' }, 1],
    [{ batch_body: 'lines' }, 1],
  ] as const) {
    for (let time = 0; time < times; time++) {
      const { batch_body: batchBody, ...rest } = more as { batch_body?: string }
      await using sink = await opened({
        url: receiver.url,
        batchRecords: 3,
        parallel: 1,
        ...rest,
        ...(batchBody && { batchBody }),
      })
      await flushed(sink, creates(1, 3))
      bodies.push(receiver.requests.splice(0))
    }
  }
  const [object, again, rows, array, lines] = bodies.map(([request]) => request!) as ReceivedRequest[]
  const { id, data } = JSON.parse(object!.body)
  expect([data.length, id, data[2].id]).toEqual([3, object!.headers['webhook-id'], '0/1/3'])
  expect(id).toMatch(/^batch-3-[0-9a-f]{32}$/)
  expect(again!.headers['webhook-id']).toBe(id)
  expect(JSON.parse(rows!.body)).toEqual({
    ...{ id, ids: ['0/1/1', '0/1/2', '0/1/3'], data: [1, 2, 3].map((one) => ({ id: one, note: 'n' })) },
  })
  expect(JSON.parse(array!.body)).toEqual(data)
  expect(
    lines!.body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual(data)
  expect([lines!.headers['content-type'], lines!.headers['tailrace-records']]).toEqual(['application/x-ndjson', '3'])
})

test('no more records in a request than are wanted, nor bytes; what waits goes together; what has no line is left out', async () => {
  await using receiver = await WebhookReceiver.start(() => ({ delayMs: 30 }))
  await using sink = await opened({
    url: receiver.url,
    batchRecords: 100,
    batchBytes: 2048,
    parallel: 1,
    format: 'row',
  })
  await flushed(
    sink,
    batchFrom((builder) => builder.create(['1', 'x'.repeat(9000)]).truncate()),
    creates(2, 201),
  )
  const counts = receiver.requests.map(({ body }) => JSON.parse(body).data.length)
  expect([counts.reduce((sum, one) => sum + one, 0), counts[0]]).toEqual([201, 1])
  expect(Math.max(...counts)).toBeGreaterThan(50)
  expect(receiver.requests.slice(1).every(({ body }) => JSON.stringify(JSON.parse(body).data).length <= 2048 + 2)).toBe(
    true,
  )
  receiver.requests.length = 0
  await using waiting = await opened({ url: receiver.url, batchRecords: 50, batchDelayMs: 10_000, parallel: 1 })
  for (let n = 0; n < 10; n++) await waiting.write(creates(n, n))
  await pause(20)
  expect(receiver.requests).toEqual([])
  await waiting.flush({ end: false })
  expect(receiver.requests.map(idsIn)).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]])
})

test('there is one request of a key at a time, several of different ones, and a key that changes waits for both', async () => {
  let [busiest, under] = [0, 0]
  const busy = new Set<number>()
  const clashes: number[] = []
  await using receiver = await WebhookReceiver.start()
  receiver.answer = (request) => {
    const ids = new Set(idsIn(request))
    busiest = Math.max(busiest, ++under)
    for (const id of ids) if (busy.has(id)) clashes.push(id)
    for (const id of ids) busy.add(id)
    const delayMs = 1 + (createHash('md5').update(request.body).digest()[0]! % 12)
    setTimeout(() => {
      under--
      for (const id of ids) busy.delete(id)
    }, delayMs - 1)
    return { delayMs }
  }
  await using sink = await opened({ url: receiver.url, batchRecords: 3, parallel: 5 })
  const written = batchFrom((builder) => {
    for (let n = 0; n < 200; n++) {
      const id = String(1 + ((n * 7) % 12))
      if (n === 100) builder.update(['99', 'moved'], ['3', null])
      else if (n === 150) builder.truncate()
      else builder.update([id, `v${n}`])
    }
    return builder
  })
  await flushed(sink, written)
  const seen = receiver.requests.flatMap(
    (request) => JSON.parse(request.body).data as { id: string; key?: { id: number } }[],
  )
  expect([clashes, seen.length, new Set(seen.map(({ id }) => id)).size]).toEqual([[], 200, 200])
  expect(busiest).toBeGreaterThan(2)
  const seq = ({ id }: { id: string }) => Number(id.split('/')[2])
  for (let key = 1; key <= 12; key++) {
    const ofKey = seen.filter((one) => one.key?.id === key).map(seq)
    expect(ofKey).toEqual([...ofKey].sort((a, b) => a - b))
  }
  // All before a truncate came before it, and all behind it behind; of a changed key all of both.
  for (const [apart, of] of [
    [100, [3, 99]],
    [150, undefined],
  ] as const) {
    const at = seen.findIndex((one) => seq(one) === apart)
    const concerned = (one: (typeof seen)[number]) => of === undefined || of.includes(one.key?.id as 3)
    expect(seen.slice(0, at).every((one) => !concerned(one) || seq(one) < apart)).toBe(true)
    expect(seen.slice(at + 1).every((one) => !concerned(one) || seq(one) > apart)).toBe(true)
  }
})

test('what fails for a while is sent again, in order and with the same id, not before Retry-After; a stale connection costs no try', async () => {
  const answers = [503, 'reset', 408, 429, 'none', 200] as const
  await using receiver = await WebhookReceiver.start()
  const times: number[] = []
  receiver.answer = ({ body }) => {
    if (JSON.parse(body).key.id !== 1) return {}
    times.push(performance.now())
    const status = answers[times.length - 1] ?? 200
    return { status, ...(status === 429 && { headers: { 'retry-after': '1' } }) }
  }
  await using sink = await opened({ url: receiver.url, parallel: 1, timeoutMs: 500, circuitFailures: 0 })
  await flushed(sink, creates(1, 2))
  expect(receiver.requests.map((request) => idsIn(request)[0])).toEqual([1, 1, 1, 1, 1, 1, 2])
  expect(new Set(receiver.requests.slice(0, 6).map(({ headers }) => headers['webhook-id'])).size).toBe(1)
  expect(times[4]! - times[3]!).toBeGreaterThan(990)
  expect(sink.events).toEqual([])
}, 20_000)

test('of several records that are refused those that are meant are found; they are dead letters when the sink is flushed', async () => {
  await using receiver = await WebhookReceiver.start()
  receiver.answer = (request) => ({ status: idsIn(request).some((id) => id % 7 === 3) ? 422 : 200, body: 'seven' })
  const letters: DeadLetterRow[] = []
  const store: LetterStore = {
    open: async () => {},
    write: async (more) => void letters.push(...more),
    flush: async () => ({ bytes: letters.length }),
    close: async () => {},
  }
  await using sink = await opened(
    { url: receiver.url, batchRecords: 20, parallel: 2 },
    (inner) => new WithDeadLetters(inner, store),
  )
  // They are not answered yet when the write resolves.
  const mark = await flushed(sink, creates(1, 30))
  const refused = [3, 10, 17, 24]
  expect(letters.map(({ record }) => JSON.parse(record).key.id).sort((a, b) => a - b)).toEqual(refused)
  expect([sink.deadLetters?.count, mark]).toEqual([4, { deadLetters: { bytes: 4 } }])
  expect(letters[0]).toMatchObject({
    ...{
      target: 'public.orders',
      problem: expect.stringMatching(/^of a record of public.orders \(id 0\/1\/\d+\) .* answered 422: seven$/),
    },
  })
  const taken = receiver.requests.filter((one) => !idsIn(one).some((id) => id % 7 === 3)).flatMap(idsIn)
  expect(taken.sort((a, b) => a - b)).toEqual(range(1, 30).filter((id) => id % 7 !== 3))
  // Without a place for dead letters it is an error that names the record.
  await using strict = await opened({ url: receiver.url, batchRecords: 20 })
  await expect(flushed(strict, creates(1, 5))).rejects.toMatchObject({
    ...{ code: 'WEBHOOK_RECORD_REFUSED', details: { id: '0/1/3', status: 422, table: 'public.orders' } },
  })
})

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n)

test('what is wrong with the endpoint is an error at once, says which one, and prints no secret', async () => {
  await using receiver = await WebhookReceiver.start()
  const failure = async (more: object = {}) => {
    const url = `${receiver.url.replace('127', 'me:hunter22@127')}?token=abc`
    await using sink = await opened({ url, headers: { Authorization: 'Bearer tok-123' }, retryMs: 0, ...more })
    return (await flushed(sink, creates(1, 1)).catch((error) => error)) as TailraceError
  }
  const shown = receiver.url.replace('/hook', '/***')
  receiver.answer = () => ({ status: 401, body: '{"error":"tok-123 has expired"}' })
  expect(await failure()).toMatchObject({
    code: 'WEBHOOK_REFUSED',
    retry: 'operator',
    message: `${shown} answered 401: {"error":"*** has expired"}`,
  })
  receiver.answer = () => ({ status: 307, headers: { location: 'https://u:p@else.where/x?t=1' } })
  expect(await failure()).toMatchObject({
    ...{
      code: 'WEBHOOK_REDIRECTED',
      message: `${shown} answered 307, a redirect to https://else.where/***, and redirects are not followed`,
    },
  })
  receiver.answer = () => ({ status: 502, body: 'bad gateway' })
  expect(await failure()).toMatchObject({
    code: 'WEBHOOK_UNAVAILABLE',
    retry: 'later',
    message: `${shown} answered 502: bad gateway`,
  })
  receiver.answer = () => ({ status: 'none' })
  expect(await failure({ timeoutMs: 50 })).toMatchObject({
    code: 'WEBHOOK_TIMEOUT',
    message: `${shown} has not answered within 0.05 s`,
  })
  const gone = await failure({ url: 'http://127.0.0.1:1/x' })
  expect(gone).toMatchObject({
    code: 'WEBHOOK_UNREACHABLE',
    message: 'cannot reach http://127.0.0.1:1/***: connect ECONNREFUSED 127.0.0.1:1',
  })
  expect(await failure({ url: receiver.url.replace('http:', 'https:') })).toMatchObject({ code: 'WEBHOOK_UNREACHABLE' })
  const none = { url: 'https://127.0.0.1:1/', tlsCa: 'none.pem' }
  await expect(opened(none)).rejects.toMatchObject({
    code: 'TLS_FILE_UNREADABLE',
    details: { setting: 'tls_ca', path: '/none.pem' },
  })
})

test('an endpoint that fails again and again is left alone, and asked with one request; both are told, and counted', async () => {
  await using receiver = await WebhookReceiver.start()
  const times: number[] = []
  receiver.answer = () => {
    times.push(performance.now())
    return { status: times.length < 6 ? 500 : 204 }
  }
  await using sink = await opened({ url: receiver.url, parallel: 4, circuitFailures: 4, circuitMs: 300 })
  const flushing = flushed(sink, creates(1, 40))
  await waitFor(() => sink.events.length > 0, { what: 'the circuit to open' })
  expect(sink.events[0]).toMatchObject({
    type: 'circuit-opened',
    failures: 4,
    endpoint: receiver.url.replace('/hook', '/***'),
    cause: { code: 'WEBHOOK_UNAVAILABLE' },
  })
  await flushing
  // The fifth and the sixth were probes, the second of them was taken.
  for (const probe of [4, 5]) expect(times[probe]! - times[probe - 1]!).toBeGreaterThan(290)
  expect(new Set(receiver.requests.slice(5).flatMap(idsIn)).size).toBe(40)
  expect(sink.events.map(({ type }) => type)).toEqual(['circuit-opened', 'circuit-closed'])
  const { count, seconds } = sink.outages!
  expect([count, Math.abs(seconds - (times[5]! - times[3]!) / 1000)]).toEqual([1, expect.closeTo(0, 0)])
}, 20_000)

test('who answers before the body came is sent the body that was meant', async () => {
  const bodies: string[] = []
  // Reads nothing for a while behind its answer: of this much the system takes a part.
  await using server = await EarlyServer.start((body) => bodies.push(body))
  await using sink = await opened({ url: server.url, batchRecords: 20_000, batchBytes: 16 * 1024 * 1024, parallel: 1 })
  const noteOf = (id: number) => String.fromCharCode(97 + (id % 26)).repeat(2000)
  for (let from = 0; from < 20_000; from += 5000) {
    const batch = batchFrom((builder) => {
      for (let id = from; id < from + 5000; id++) builder.create([String(id), noteOf(id)])
      return builder
    }, from)
    await flushed(sink, batch)
  }
  const records = () => bodies.flatMap((body) => JSON.parse(body).data as { after: { id: number; note: string } }[])
  await waitFor(() => records().length >= 20_000, { what: 'the bodies' })
  expect(records().map(({ after }) => after.id)).toEqual(Array.from({ length: 20_000 }, (_, id) => id))
  expect(records().every(({ after }) => after.note === noteOf(after.id))).toBe(true)
  expect(Math.max(...bodies.map(({ length }) => length))).toBeGreaterThan(6_000_000)
}, 20_000)

test('flush waits for every answer, write for room; close cuts what is under way', async () => {
  let answered = 0
  await using receiver = await WebhookReceiver.start(() => ({ delayMs: 40 }))
  receiver.answer = () => {
    setTimeout(() => answered++, 30)
    return { delayMs: 40 }
  }
  await using sink = await opened({ url: receiver.url, parallel: 3 })
  await sink.write(creates(1, 6))
  expect(answered).toBe(0)
  await sink.flush({ end: false })
  expect(answered).toBe(6)

  receiver.answer = () => ({ status: 'none' })
  const large = batchFrom((builder) => {
    for (let id = 0; id < 60; id++) builder.create([String(id), 'x'.repeat(400_000)])
    return builder
  })
  let written = 0
  const writing = (async () => {
    for (let index = 0; index < 60; index++) {
      await sink.write(large.part(index, index + 1))
      written++
    }
  })().catch(() => {})
  await waitFor(() => written > 7, { what: 'what there is room for' })
  await pause(50)
  // 4 MB, and the last that came before they were reached.
  expect(written).toBeLessThan(14)
  await sink.close()
  await sink.open(undefined)
  receiver.answer = () => undefined
  await flushed(sink, creates(1, 2))
  void writing
})

test('Debezium’s two lines for a changed key are two, with ids of their own', async () => {
  await using receiver = await WebhookReceiver.start()
  await using sink = await opened({ url: receiver.url, format: 'debezium', parallel: 3 })
  await flushed(
    sink,
    batchFrom((builder) => builder.create(['1', 'a']).update(['2', 'b'], ['1', null]).update(['2', 'c'])),
  )
  expect(receiver.requests.map(({ headers, body }) => [headers['webhook-id'], JSON.parse(body).op])).toEqual([
    ...[
      ['0/1/0', 'c'],
      ['0/1/1', 'd'],
      ['0/1/1/create', 'c'],
      ['0/1/2', 'u'],
    ],
  ])
})

test('closed while answers are waited for nothing of that is durable, and nothing more is sent', async () => {
  await using receiver = await WebhookReceiver.start()
  receiver.answer = () => ({ status: 503, headers: { 'retry-after': '1' } })
  await using sink = await opened({ url: receiver.url })
  await sink.write(creates(1, 10))
  const flushing = expect(sink.flush({ end: true })).rejects.toThrow('the sink was closed')
  await waitFor(() => receiver.requests.length > 0, { what: 'a request' })
  await sink.close()
  await flushing
  receiver.requests.length = 0
  receiver.answer = () => ({ status: 200 })
  await sink.open(undefined)
  await flushed(sink, creates(11, 11))
  expect(receiver.requests.flatMap(idsIn)).toEqual([11])
})
