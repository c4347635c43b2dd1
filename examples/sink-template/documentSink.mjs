// @ts-check
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** @import { Batch, ChangeRecord, Reject, Sink, Table } from 'tailrace' */

/** What is written at once: a pipeline flushes a few times a second, but a sink has to bound what it holds itself. */
const MOST_HELD = 1024 * 1024

/**
 * A document for each row, as JSON in a file: FOLDER/TABLE/KEY.json. Written twice it is the same, so a mark is not needed.
 *
 * @implements {Sink}
 */
export class DocumentSink {
  #folder
  #maxBytes
  /** By path, what is not on the disk yet; null: the document goes. @type {Map<string, Uint8Array | null>} */
  #held = new Map()
  #bytes = 0

  /** @param {{ folder: string, maxBytes?: number }} options */
  constructor({ folder, maxBytes = 1024 * 1024 }) {
    this.#folder = folder
    this.#maxBytes = maxBytes
  }

  async open() {
    await mkdir(this.#folder, { recursive: true })
    // What was held before an error comes again.
    this.#held.clear()
    this.#bytes = 0
  }

  /**
   * @param {Batch} batch
   * @param {Reject} [reject]
   */
  async write(batch, reject) {
    for (let index = 0; index < batch.length; index++) {
      try {
        await this.#take(/** @type {ChangeRecord} */ (batch.at(index)))
      } catch (error) {
        // Of the record itself, so that no other try could write it; everything else ends the batch.
        if (!(error instanceof UnfitRecord) || reject === undefined) throw error
        reject(index, error)
      }
    }
    if (this.#bytes > MOST_HELD) await this.#writeOut()
  }

  async flush() {
    await this.#writeOut()
    return null
  }

  async close() {
    this.#held.clear()
  }

  /** @param {ChangeRecord} record */
  async #take(record) {
    switch (record.operation) {
      case 'truncate':
        await this.#writeOut()
        return rm(this.#folderOf(record.table), { recursive: true, force: true })
      case 'delete':
        return this.#hold(this.#pathOf(record.table, record.key), null)
      case 'snapshot':
      case 'create':
      case 'update': {
        const path = this.#pathOf(record.table, record.key)
        const document = record.after.toJsonBytes()
        if (document.length > this.#maxBytes) throw new UnfitRecord(`a document of ${document.length} bytes`)
        if (record.operation !== 'snapshot' && record.unchanged.length > 0) {
          // Large values that an update did not change are not sent: the source has to fetch them.
          throw Object.assign(new Error(`${record.unchanged} of ${record.id} is not there`), {
            hint: 'Set "toast: fetch" of the source.',
          })
        }
        if (record.operation === 'update' && record.oldKey !== undefined) {
          this.#hold(this.#pathOf(record.table, record.oldKey), null)
        }
        return this.#hold(path, document)
      }
    }
    // A table's shape, and messages, are for others.
  }

  /**
   * @param {string} path
   * @param {Uint8Array | null} document
   */
  #hold(path, document) {
    this.#held.set(path, document)
    this.#bytes += document?.length ?? 0
  }

  /** Each document as a whole or not at all, and on the disk when it resolves. */
  async #writeOut() {
    const folders = new Set()
    for (const [path, document] of this.#held) {
      const folder = join(path, '..')
      await mkdir(folder, { recursive: true })
      folders.add(folder)
      if (document === null) await rm(path, { force: true })
      else {
        await writeSynced(`${path}.new`, document)
        await rename(`${path}.new`, path)
      }
    }
    for (const folder of folders) await syncFolder(folder)
    this.#held.clear()
    this.#bytes = 0
  }

  /** @param {Table} table */
  #folderOf({ schema, name }) {
    return join(this.#folder, encodeURIComponent(`${schema}.${name}`))
  }

  /**
   * @param {Table} table
   * @param {object | undefined} key
   */
  #pathOf(table, key) {
    if (key === undefined) throw new UnfitRecord(`${table.schema}.${table.name} has no key`)
    const name = Object.values(key).map((value) => encodeURIComponent(String(value)))
    return join(this.#folderOf(table), `${name.join(',')}.json`)
  }
}

/** Why a record can never be written. */
class UnfitRecord extends Error {}

/**
 * @param {string} path
 * @param {Uint8Array} bytes
 */
async function writeSynced(path, bytes) {
  const file = await open(path, 'w')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** @param {string} path */
async function syncFolder(path) {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
