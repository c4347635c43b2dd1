const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
}

/** A row as the server sends it ("COPY: Text Format" in the PostgreSQL docs, CopyAttributeOutText in copyto.c). */
export function copyText(columns: readonly (string | null | undefined)[]): string {
  const texts = columns.map((column) => column?.replaceAll(/[\\\b\t\n\v\f\r]/g, (one) => ESCAPES[one]!) ?? '\\N')
  return `${texts.join('\t')}\n`
}
