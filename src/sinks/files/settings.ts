import * as z from 'zod'
import { setting } from '../../core/setting.js'

/** Of all sinks that write lines. */
export const maxLineBytesSetting = setting(z.int().min(1).optional(), {
  description:
    'A record whose line would be longer, its end included, is rejected: see on_error. For readers that take no longer ones.',
  unit: 'bytes',
  example: '16777216',
})
