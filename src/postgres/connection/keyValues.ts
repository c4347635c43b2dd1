import { Collector, type Given, invalid } from './given.js'

/** As C's isspace() has it. */
const BLANK = /[ \t\n\v\f\r]/

/**
 * Reads `host=db port=5433 password='it\'s'` ("Keyword/Value Connection Strings" in the PostgreSQL docs) as libpq does:
 * blanks may stand around "=", a backslash makes the next character an ordinary one, with and without quotes.
 */
export function readKeyValues(text: string): Given {
  // A password with a blank that is not quoted goes on as a name.
  const collector = new Collector(/pass|:\/\//i.test(text), '')
  let p = 0
  const skipBlanks = () => {
    while (p < text.length && BLANK.test(text[p]!)) p++
  }
  for (skipBlanks(); p < text.length; skipBlanks()) {
    const start = p
    while (p < text.length && text[p] !== '=' && !BLANK.test(text[p]!)) p++
    const name = text.slice(start, p)
    skipBlanks()
    if (text[p] !== '=') {
      throw invalid(
        "a word in it has no \"=\" behind it: quote a value that has blanks, password='two words', and escape a quote in it, \\'",
      )
    }
    p++
    skipBlanks()
    const quoted = text[p] === "'"
    if (quoted) p++
    let value = ''
    while (p < text.length && !(quoted ? text[p] === "'" : BLANK.test(text[p]!))) {
      if (text[p] === '\\') p++
      value += text[p++] ?? ''
    }
    if (quoted && text[p] !== "'") throw invalid('a quoted value in it has no end')
    if (quoted) p++
    collector.set(name, value)
  }
  return collector.given()
}
