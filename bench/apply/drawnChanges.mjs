import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'

const NOTE = (n) => `Changed by no. ${n}, who was in a hurry`

/**
 * `count` changes of keys 1 to `distinct`, of which the first half is there: 70 % updates, 20 % inserts, 10 % deletes. The
 * same each time.
 */
export function drawChanges(count, distinct) {
  const random = seeded(7)
  const there = Array.from({ length: distinct / 2 }, (_, i) => i + 1)
  const gone = Array.from({ length: distinct / 2 }, (_, i) => distinct / 2 + i + 1)
  const changes = []
  for (let n = 0; n < count; n++) {
    const share = random()
    const op = share < 0.7 ? 'u' : share < 0.9 && gone.length > 0 ? 'i' : 'd'
    const from = op === 'i' ? gone : there
    const at = Math.floor(random() * from.length)
    const id = from[at]
    if (op !== 'u') {
      from[at] = from.at(-1)
      from.pop()
      ;(op === 'i' ? there : gone).push(id)
    }
    changes.push({ op, id })
  }
  return changes
}

/**
 * What the changes come to in each of so many batches of the same size, as files for COPY: rows to be there, and keys that
 * are not. `client`: of the source, for the rows as they are inserted.
 */
export async function foldedFiles(client, insertSql, changes, batches, folder) {
  const columns = await insertedRows(
    client,
    insertSql,
    changes.reduce((most, { id }) => Math.max(most, id), 0),
  )
  const rows = new Map(columns.map((row) => [Number(row[0]), row]))
  const files = []
  const per = Math.ceil(changes.length / batches)
  for (let from = 0; from < changes.length; from += per) {
    const last = new Map()
    for (let n = from; n < Math.min(from + per, changes.length); n++) {
      const { op, id } = changes[n]
      const inserted = columns[id - 1]
      if (op === 'i') rows.set(id, inserted)
      else if (op === 'u') rows.set(id, updated(rows.get(id), n))
      last.set(id, op)
    }
    const file = { rows: join(folder, `${files.length}.rows`), gone: join(folder, `${files.length}.gone`) }
    await writeLines(
      file.rows,
      [...last].filter(([, op]) => op !== 'd').map(([id]) => rows.get(id).map(copyText).join('\t')),
    )
    await writeLines(
      file.gone,
      [...last].filter(([, op]) => op === 'd').map(([id]) => String(id)),
    )
    files.push(file)
  }
  return files
}

/** As the UPDATE of changes.mjs. */
function updated([id, customer, , , created, , active, score], n) {
  return [id, customer, 'touched', `${n}.00`, created, NOTE(n), active, score]
}

async function insertedRows(client, insertSql, count) {
  await client.query('BEGIN; CREATE TEMP TABLE inserted (LIKE bench) ON COMMIT DROP')
  await client.query(insertSql('inserted', 1, count))
  const types = { getTypeParser: () => (text) => text }
  const { rows } = await client.query({ text: 'SELECT * FROM inserted ORDER BY id', rowMode: 'array', types })
  await client.query('ROLLBACK')
  return rows
}

function copyText(value) {
  if (value === null) return '\\N'
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\t', '\\t')
}

async function writeLines(path, lines) {
  const file = createWriteStream(path)
  file.end(lines.map((line) => `${line}\n`).join(''))
  await once(file, 'close')
}

/** mulberry32. */
function seeded(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
