import * as z from 'zod'
import { LINE_FORMATS, type LineFormat, type LineOptions } from '../../codec/lines/lineEncoder.js'
import { setting } from '../../core/setting.js'
import type { SinkPlace } from '../sinkType.js'

/** Of every sink that writes lines. */
export const formatSetting = setting(z.enum(LINE_FORMATS).default('tailrace'), {
  description:
    'What a record is in a line. tailrace (or ndjson): the whole record, as docs/records.md has it; row: only the row, of a delete its key; blink: the row in a list, as Blink sends it; debezium: as Debezium’s connector with schemas.enable=false. The last three have no line for what they cannot say.',
})

/** What an encoder of a sink's lines is made of. */
export function lineOptions(format: LineFormat, { pipeline, database = '', shown }: SinkPlace): LineOptions {
  return { format, shown, origin: { name: pipeline, database } }
}
