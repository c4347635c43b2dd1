const LEGAL = /^[A-Za-z_][A-Za-z0-9_]*$/

/** Whether Avro takes `name` for a record or a field. */
function isLegal(name: string): boolean {
  return LEGAL.test(name)
}

/** The nearest legal name: each other character (not byte) is `_`, and a digit in front gets one before it. */
export function legalName(name: string): string {
  const replaced = [...name].map((character) => (/[A-Za-z0-9_]/.test(character) ? character : '_')).join('')
  return isLegal(replaced) ? replaced : `_${replaced}`
}

/**
 * A legal name for each of `names`, no two alike. Legal names stay as they are; of the others one that is taken gets
 * `_2`, `_3`…, in the order of their bytes, so that the order of columns does not matter.
 */
export function fieldNames(names: readonly string[]): Map<string, string> {
  const given = new Map(names.filter(isLegal).map((name) => [name, name]))
  const taken = new Set(given.values())
  for (const name of names.filter((one) => !isLegal(one)).sort(byBytes)) {
    const wanted = legalName(name)
    let free = wanted
    for (let i = 2; taken.has(free); i++) free = `${wanted}_${i}`
    taken.add(free)
    given.set(name, free)
  }
  return given
}

/** The order of Go's strings and of PostgreSQL's collation "C", which is not the one of JavaScript's. */
export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
