/**
 * What the worker thread of a `javascript` processor runs. A text, since a thread is begun with a file or a text, and what we
 * are is one bundled file here, many there, and TypeScript in tests.
 *
 * Gets `{ url }` as workerData, says `{ ready }` or `{ failed }` once, then answers each list of records with a list of what
 * became of them. `progress[0]` is the index of the record that the function has.
 */
export const WORKER_SOURCE = `
const { parentPort, workerData } = require('node:worker_threads')
const { isDeepStrictEqual } = require('node:util')
const progress = new Int32Array(workerData.progress)

const isObject = (value) => typeof value === 'object' && value !== null
const copyOf = (row) => row && Object.fromEntries(
  Object.entries(row).map(([name, value]) => [name, isObject(value) ? structuredClone(value) : value]))
function changes(before, after) {
  if (!isObject(before)) return {}
  if (!isObject(after)) throw new TypeError('a row must stay an object')
  const changed = Object.create(null)
  for (const name of Object.keys(after)) {
    if (!Object.hasOwn(before, name) || !isDeepStrictEqual(before[name], after[name])) changed[name] = after[name]
  }
  return changed
}
async function outcomeOf(transform, record) {
  const given = { before: copyOf(record.before), after: copyOf(record.after), key: copyOf(record.key) }
  let result = transform(record)
  if (isObject(result) && typeof result.then === 'function') result = await result
  if (result === null || result === false) return { drop: true }
  const made = result === undefined || result === true ? record : result
  return { before: changes(given.before, made.before), after: changes(given.after, made.after) }
}
import(workerData.url).then(({ default: transform }) => {
  if (typeof transform !== 'function') throw new TypeError('its default export is no function')
  parentPort.on('message', async (records) => {
    const outcomes = []
    for (let index = 0; index < records.length; index++) {
      Atomics.store(progress, 0, index)
      try {
        const outcome = await outcomeOf(transform, records[index])
        structuredClone(outcome)
        outcomes.push(outcome)
      } catch (error) {
        outcomes.push({ failure: String((error && error.message) || error) })
      }
    }
    Atomics.store(progress, 0, -1)
    parentPort.postMessage({ outcomes })
  })
  parentPort.postMessage({ ready: true })
}).catch((error) => parentPort.postMessage({ failed: String((error && error.message) || error) }))
`
