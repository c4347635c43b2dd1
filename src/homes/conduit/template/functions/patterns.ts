import { Unusable } from '../values.js'
import { type Functions, takes, textOf } from './arguments.js'

/** Sprig's functions with a regular expression. Go's RE2 and JavaScript read all common patterns alike. */
export const PATTERNS: Functions = {
  regexMatch: takes(2, (pattern, text) => compile(pattern, '').test(textOf(text))),
  regexFind: takes(2, (pattern, text) => compile(pattern, '').exec(textOf(text))?.[0] ?? ''),
  regexReplaceAll: takes(3, (pattern, text, by) => replaceAll(pattern, text, expand(textOf(by)))),
  regexReplaceAllLiteral: takes(3, (pattern, text, by) => replaceAll(pattern, text, () => textOf(by))),
}

type Replacement = (groups: readonly string[], named: Readonly<Record<string, string>> | undefined) => string

function replaceAll(pattern: unknown, text: unknown, replacement: Replacement): string {
  return textOf(text).replace(compile(pattern, 'g'), (...match: unknown[]) => {
    const named = match.at(-1)
    const groups = match.slice(
      0,
      match.findIndex((part) => typeof part === 'number'),
    ) as string[]
    return replacement(groups, typeof named === 'object' ? (named as Record<string, string>) : undefined)
  })
}

/** `$1`, `${1}`, `${name}`, `$$`; a bare name goes as far as letters, digits and underscores do. */
function expand(by: string): Replacement {
  return (groups, named) =>
    by.replace(/\$(?:\$|\{(\w+)\}|(\w+))/g, (_, braced: string | undefined, bare: string | undefined) => {
      const name = braced ?? bare
      if (name === undefined) return '$'
      if (/^\d+$/.test(name)) return groups[Number(name)] ?? ''
      return named !== undefined && Object.hasOwn(named, name) ? (named[name] ?? '') : ''
    })
}

/** `(?i)` and its like in front are flags in JavaScript; `(?P<name>` is `(?<name>`. */
function compile(pattern: unknown, flags: string): RegExp {
  const [, inline = '', rest = ''] = /^(?:\(\?([ims]+)\))?([\s\S]*)$/.exec(textOf(pattern))!
  try {
    return new RegExp(rest.replaceAll('(?P<', '(?<'), `${[...new Set(inline)].join('')}${flags}u`)
  } catch {
    throw new Unusable('the regular expression is none')
  }
}
