/** Of a table that was made, and copied before its key is built; `table`: the target's, in SQL's form. */
export type KeyEvent =
  | { readonly type: 'key-building'; readonly table: string }
  | { readonly type: 'key-built'; readonly table: string; readonly seconds: number }
