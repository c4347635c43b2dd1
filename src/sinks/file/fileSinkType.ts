import { resolve } from 'node:path'
import * as z from 'zod'
import { setting } from '../../core/setting.js'
import { formatSetting, lineOptions } from '../files/lineFormat.js'
import { maxLineBytesSetting } from '../files/settings.js'
import { sinkType } from '../sinkType.js'
import { placeholdersOf } from './fileNames.js'
import { FileSink } from './fileSink.js'

export const fileSettings = {
  path: setting(z.string().min(1), {
    description:
      'The file, appended to. Relative to the pipeline’s file. With rotation a template: {number} counts the files, {date} and {time} are when one was begun, in UTC.',
    example: 'out/{date}/orders-{number}.ndjson',
  }),
  format: formatSetting,
  maxLineBytes: maxLineBytesSetting,
  gzip: setting(z.boolean().default(false), {
    description: 'Compress: members of up to 1 MB of lines, each of which can be read by itself.',
  }),
  rotateBytes: setting(z.int().min(1024).optional(), {
    description:
      'Begin another file when this one has so many bytes, as they are on the disk. A file ends with a whole record, and is a little larger.',
    unit: 'bytes',
    example: '268435456',
  }),
  rotateSeconds: setting(z.int().min(1).max(31_536_000).optional(), {
    description: 'Begin another file so long after the first record of this one, also when nothing more came.',
    unit: 'seconds',
    example: '3600',
  }),
}

export type FileSettings = z.infer<z.ZodObject<typeof fileSettings>>

/** Lines of JSON in a file, or in one after another. */
export const fileSinkType = sinkType({
  settings: fileSettings,
  problems: ({ path, rotateBytes, rotateSeconds }) => {
    const { known, unknown } = placeholdersOf(path)
    const rotates = rotateBytes !== undefined || rotateSeconds !== undefined
    const problem = (text: string) => [{ name: 'path', problem: text }]
    if (unknown.length > 0) return problem(`{${unknown[0]}} is none of {number}, {date}, {time}`)
    if (rotates && !known.includes('number'))
      return problem('files that follow one another need {number} in their name')
    if (rotates && !/\{number\}[^/\\]*$/.test(path))
      return problem('{number} must be in the name, not only in the folder')
    if (!rotates && known.length > 0) {
      return problem(`{${known[0]}} needs rotate_bytes or rotate_seconds: without them there is one file`)
    }
    return []
  },
  claims: ({ path }, { folder }) => resolve(folder, path),
  create: (settings, place) => {
    const path = resolve(place.folder, settings.path)
    return new FileSink({ ...settings, path }, lineOptions(settings.format, place))
  },
})
