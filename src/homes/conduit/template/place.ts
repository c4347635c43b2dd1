/** `column 12`, or `line 2, column 3` where the text has several lines. Columns count characters from 1. */
export function placeOf(text: string, offset: number): string {
  const before = text.slice(0, offset)
  const line = before.split('\n').length
  const column = [...before.slice(before.lastIndexOf('\n') + 1)].length + 1
  return text.includes('\n') ? `line ${line}, column ${column}` : `column ${column}`
}
