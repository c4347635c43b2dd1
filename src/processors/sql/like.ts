const ANY = -1
const ONE = -2

/** A LIKE pattern, compiled: code points, {@link ANY} for `%` and {@link ONE} for `_`. */
export type LikePattern = Int32Array

/** `sign`: the character that takes the next one literally; empty: none does. Undefined: it ends with that character. */
export function compileLike(pattern: string, sign = '\\'): LikePattern | undefined {
  const compiled: number[] = []
  const characters = [...pattern]
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i]!
    if (character === sign && sign !== '') {
      if (++i === characters.length) return undefined
      compiled.push(characters[i]!.codePointAt(0)!)
    } else if (character === '%') {
      if (compiled.at(-1) !== ANY) compiled.push(ANY)
    } else compiled.push(character === '_' ? ONE : character.codePointAt(0)!)
  }
  return Int32Array.from(compiled)
}

/** Goes back to the last `%` only, so that no pattern takes longer than text times pattern. */
export function matchesLike(text: string, pattern: LikePattern): boolean {
  let at = 0
  let p = 0
  let star = -1
  let retry = 0
  while (at < text.length) {
    const code = text.codePointAt(at)!
    const wanted = p < pattern.length ? pattern[p]! : undefined
    if (wanted === ANY) {
      star = p++
      retry = at
    } else if (wanted === ONE || wanted === code) {
      p++
      at += code > 0xffff ? 2 : 1
    } else if (star >= 0) {
      retry += text.codePointAt(retry)! > 0xffff ? 2 : 1
      at = retry
      p = star + 1
    } else return false
  }
  while (p < pattern.length && pattern[p] === ANY) p++
  return p === pattern.length
}
