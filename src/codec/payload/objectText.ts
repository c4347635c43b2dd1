import { PAYLOAD_INVALID } from '../../core/payloadErrors.js'
import { compositeText, hstoreText } from '../text/objectText.js'
import type { TextTarget } from '../text/target.js'
import type { TargetOf } from './text.js'

const TEXT: TextTarget = { kind: 'text', array: false }

/** Whether an object is a value of such a column, and not the text of its JSON. */
export function takesObjects({ fields, hstore }: TextTarget): boolean {
  return fields !== undefined || hstore === true
}

/** What the members of an object take. */
export function memberTargets({ fields }: TextTarget, column: string): TargetOf {
  if (fields === undefined) return () => TEXT
  return (member) => {
    const field = fields.find(({ name }) => name === member)
    if (field === undefined) throw PAYLOAD_INVALID({ column, problem: `its type has no field ${member}` })
    return field.target
  }
}

/** An object whose members are texts by now, as a composite or an hstore. */
export function objectText({ fields }: TextTarget, texts: ReadonlyMap<string, string | null>): string {
  return fields === undefined ? hstoreText(texts) : compositeText(fields, texts)
}
