import type { ProcessorType } from './processorType.js'
import { castType } from './types/cast.js'
import { dropType } from './types/drop.js'
import { filterType } from './types/filter.js'
import { flattenType } from './types/flatten.js'
import { httpType } from './types/http.js'
import { javascriptType } from './types/javascript.js'
import { logType } from './types/log.js'
import { maskType } from './types/mask.js'
import { openaiType } from './types/openai.js'
import { renameType } from './types/rename.js'
import { sqlType } from './types/sql.js'

/** Every kind of processors that a pipeline's file can name. */
export const processorTypes: ReadonlyMap<string, ProcessorType> = new Map([
  ['filter', filterType],
  ['sql', sqlType],
  ['rename', renameType],
  ['drop', dropType],
  ['mask', maskType],
  ['cast', castType],
  ['flatten', flattenType],
  ['http', httpType],
  ['openai', openaiType],
  ['javascript', javascriptType],
  ['log', logType],
])
