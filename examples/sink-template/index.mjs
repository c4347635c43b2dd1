// @ts-check
import { resolve } from 'node:path'
import { DocumentSink } from './documentSink.mjs'

/** @import { SinkModule } from 'tailrace' */

/**
 * What a pipeline's file has under `settings`.
 *
 * @typedef {{ folder: string, max_bytes?: number }} Settings
 */

const KNOWN = ['folder', 'max_bytes']

/** @type {SinkModule<Settings>} */
const documents = {
  problems: (settings) => [
    ...Object.keys(settings)
      .filter((name) => !KNOWN.includes(name))
      .map((name) => ({ name, problem: `there is no such setting; known are ${KNOWN.join(', ')}` })),
    ...(typeof settings.folder === 'string' ? [] : [{ name: 'folder', problem: 'a folder is expected, as a text' }]),
    ...(['number', 'undefined'].includes(typeof settings.max_bytes)
      ? []
      : [{ name: 'max_bytes', problem: 'a number of bytes is expected' }]),
  ],
  claims: ({ folder }, place) => resolve(place.folder, folder),
  create: ({ folder, max_bytes }, place) =>
    new DocumentSink({ folder: resolve(place.folder, folder), maxBytes: max_bytes }),
}

export default documents
