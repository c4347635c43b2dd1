import { evaluate } from './evaluate.js'
import { parse } from './parser.js'
import type { TemplateRecord } from './record.js'

export type { TemplateData, TemplateRecord } from './record.js'

/** Whether a setting's value is a template and not a name. */
export function isTemplate(text: string): boolean {
  return text.includes('{{')
}

/**
 * Reads a Go template, once; what it gives runs it over a record. TEMPLATE_INVALID at once for what is not understood,
 * TEMPLATE_FAILED for a record that has no value where the template wants one.
 */
export function compileTemplate(text: string): (record: TemplateRecord) => string {
  const nodes = parse(text)
  return (record) => evaluate(text, nodes, record)
}
