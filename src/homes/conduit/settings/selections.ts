/**
 * `orders:id,region,sales.items:sku` → `['orders:id,region', 'sales.items:sku']`: columns of tables as one text. What has
 * no table before it is of the only one that there is.
 */
export function splitSelections(text: string, onlyTable: string | undefined): string[] | undefined {
  const selections: string[] = []
  for (const part of splitOutsideQuotes(text, ',').map((one) => one.trim())) {
    if (splitOutsideQuotes(part, ':').length > 1) selections.push(part)
    else if (selections.length > 0) selections.push(`${selections.pop()},${part}`)
    else if (onlyTable !== undefined) selections.push(`${onlyTable}:${part}`)
    else return undefined
  }
  return selections
}

/** The only table that a list names, if it is one and no pattern. */
export function onlyTable(tables: string): string | undefined {
  const names = splitOutsideQuotes(tables, ',')
  return names.length === 1 && splitOutsideQuotes(tables, '*').length === 1 ? names[0]!.trim() : undefined
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts = ['']
  let quoted = false
  for (const character of text) {
    if (character === '"') quoted = !quoted
    if (character === separator && !quoted) parts.push('')
    else parts[parts.length - 1] += character
  }
  return parts
}
