/** How the tables of a running source are changed. Names and patterns as in `tables`. */
export interface TableControl {
  /**
   * Captures more tables from now on: their rows, by incremental snapshot, then their changes. Resolves, with the names
   * of those added (`schema.table`), when they are captured: their scan has begun.
   */
  addTables(tables: string | readonly string[]): Promise<readonly string[]>
  /** Captures these no more; resolves with the names of those that were captured until now. */
  removeTables(tables: string | readonly string[]): Promise<readonly string[]>
  /** Reads a table's rows once more, while streaming goes on. `where`: an SQL condition on its columns. */
  resnapshot(table: string, options?: { readonly where?: string }): Promise<void>
}
