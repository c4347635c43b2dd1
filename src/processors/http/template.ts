/** What a template is made of: text as it is, and names of columns. */
export type TemplatePiece = { readonly text: string } | { readonly column: string }

/** Reads `orders/{id}`: names of columns in braces, of which `{{` and `}}` are the literal ones. Throws what is wrong with it. */
export function parsePieces(template: string): TemplatePiece[] {
  const pieces: TemplatePiece[] = []
  let text = ''
  for (let at = 0; at < template.length; at++) {
    const character = template[at]!
    if ((character === '{' || character === '}') && template[at + 1] === character) {
      text += character
      at++
    } else if (character === '{') {
      const end = template.indexOf('}', at)
      if (end < 0) throw new Error('a { is not closed: {{ is a literal one')
      if (end === at + 1) throw new Error('a column’s name is expected in {}')
      if (text !== '') pieces.push({ text })
      text = ''
      pieces.push({ column: template.slice(at + 1, end) })
      at = end
    } else if (character === '}') throw new Error('a } closes nothing: }} is a literal one')
    else text += character
  }
  if (text !== '') pieces.push({ text })
  return pieces
}

export function columnsOf(pieces: readonly TemplatePiece[]): string[] {
  return pieces.flatMap((piece) => ('column' in piece ? [piece.column] : []))
}

/** `textOf` of each column in the place of its name. */
export function filled(pieces: readonly TemplatePiece[], textOf: (column: string) => string): string {
  return pieces.map((piece) => ('column' in piece ? textOf(piece.column) : piece.text)).join('')
}
