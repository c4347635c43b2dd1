/**
 * What runs in the sandbox around a user's function: gives it records of a JSON text, and makes a JSON text of what became of
 * them. A function that breaks what it is made of harms itself only: the thread looks at what comes out.
 *
 * `begin` is told of each record before the function gets it, `print` a line; JSON has neither bigint, bytes nor NaN, which
 * stand as `{[tag]: [kind, text]}`.
 */
export const GUEST_SOURCE = `
(function (begin, print, tag) {
  'use strict'
  const { parse, stringify } = JSON
  const { keys, hasOwn, is } = Object
  const { isFinite } = Number
  const [Text, Whole, Bytes, Internal, Mistake] = [String, BigInt, Uint8Array, InternalError, TypeError]
  const isObject = (value) => typeof value === 'object' && value !== null

  function revive(_, value) {
    if (!isObject(value) || !hasOwn(value, tag)) return value
    const [kind, text] = value[tag]
    if (kind === 'bigint') return Whole(text)
    if (kind === 'number') return +text
    const bytes = new Bytes(text.length / 2)
    for (let i = 0; i < bytes.length; i++) bytes[i] = +('0x' + text[2 * i] + text[2 * i + 1])
    return bytes
  }
  function hexOf(bytes) {
    let text = ''
    for (let i = 0; i < bytes.length; i++) text += (bytes[i] < 16 ? '0' : '') + bytes[i].toString(16)
    return text
  }
  const tagged = (kind, text) => ({ __proto__: null, [tag]: [kind, text] })
  function replace(_, value) {
    if (typeof value === 'bigint') return tagged('bigint', Text(value))
    if (typeof value === 'number' && (!isFinite(value) || is(value, -0))) return tagged('number', is(value, -0) ? '-0' : Text(value))
    if (typeof value === 'function' || typeof value === 'symbol') throw new Mistake('a ' + typeof value + ' could not be cloned')
    return value instanceof Bytes ? tagged('bytes', hexOf(value)) : value
  }
  function copyOf(row) {
    if (!isObject(row)) return undefined
    const copy = { __proto__: null }
    for (const name of keys(row)) copy[name] = isObject(row[name]) ? { text: stringify(row[name], replace) } : row[name]
    return copy
  }
  function isSame(before, after) {
    return isObject(before) ? isObject(after) && before.text === stringify(after, replace) : is(before, after)
  }
  function changes(before, after) {
    const changed = { __proto__: null }
    if (before === undefined) return changed
    if (!isObject(after)) throw new Mistake('a row must stay an object')
    for (const name of keys(after)) {
      if (!hasOwn(before, name) || !isSame(before[name], after[name])) changed[name] = after[name] === undefined ? null : after[name]
    }
    return changed
  }
  function messageOf(error) {
    try {
      const text = Text((error && error.message) || error)
      return text.length > 1000 ? text.slice(0, 1000) : text
    } catch {
      return 'it threw what cannot be told'
    }
  }
  const shown = (_, value) => typeof value === 'bigint' ? Text(value) : value
  const line = (...parts) => {
    let text = ''
    for (let i = 0; i < parts.length; i++) {
      text += (i > 0 ? ' ' : '') + (isObject(parts[i]) ? stringify(parts[i], shown) : Text(parts[i]))
    }
    print(text)
  }
  globalThis.console = { log: line, info: line, warn: line, error: line, debug: line }

  return (transform) => {
    if (typeof transform !== 'function') throw new Mistake('its default export is no function')
    return async (text, isTagged, count) => {
      const records = isTagged ? parse(text, revive) : parse(text)
      let all = ''
      for (let i = 0; i < count; i++) {
        begin(i)
        const record = records[i]
        let outcome
        try {
          const before = copyOf(record.before)
          const after = copyOf(record.after)
          let result = transform(record)
          if (isObject(result) && typeof result.then === 'function') result = await result
          if (result === null || result === false) outcome = '{"drop":true}'
          else {
            const made = result === undefined || result === true ? record : result
            outcome = stringify({ __proto__: null, before: changes(before, made.before), after: changes(after, made.after) }, replace)
          }
        } catch (error) {
          if (error instanceof Internal && error.message === 'out of memory') throw error
          outcome = stringify({ __proto__: null, failure: messageOf(error) })
        }
        all += (i > 0 ? ',' : '') + outcome
      }
      return '[' + all + ']'
    }
  }
})
`
