import type { TemplateFunction } from './arguments.js'
import { BUILTINS } from './builtins.js'
import { PATTERNS } from './patterns.js'
import { TEXTS } from './texts.js'
import { VALUES } from './values.js'

/** Every function that a template may call: Go's own, and those of Sprig that names of tables are made with. */
export const FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map(
  Object.entries({ ...BUILTINS, ...TEXTS, ...VALUES, ...PATTERNS }),
)
