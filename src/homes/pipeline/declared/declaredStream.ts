/** A table as a file declares it. */
export interface DeclaredStream {
  /** As it is written. */
  readonly name: string
  readonly schema: string
  readonly table: string
  /** Undefined: all columns, as they are. */
  readonly columns: readonly DeclaredColumn[] | undefined
}

export interface DeclaredColumn {
  readonly name: string
  /** One of `DECLARED_TYPES`; undefined: as the catalog says. */
  readonly type: string | undefined
  /** What the file says of its type in the database. */
  readonly native: string | undefined
  readonly isKey: boolean
}

/** Whether this is the table of the stream: a name matches exactly, or in lower case, as SQL has it without quotes. */
export function isOf(
  { schema, table }: Pick<DeclaredStream, 'schema' | 'table'>,
  found: { readonly schema: string; readonly name: string },
): boolean {
  const same = (written: string, name: string) => written === name || written.toLowerCase() === name
  return same(schema, found.schema) && same(table, found.name)
}

/** The stream's table, as settings of a source name one. */
export function tablePattern({ schema, table }: Pick<DeclaredStream, 'schema' | 'table'>): string {
  const part = (name: string) => (/^[A-Za-z0-9_$]+$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`)
  return `${part(schema)}.${part(table)}`
}
