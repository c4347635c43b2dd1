export interface BlinkConnection {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password?: string | undefined
}

/** A connection string of these, in which no character of a value means anything. */
export function connectionText(
  { host, port, database, user, password }: BlinkConnection,
  tls:
    | { readonly sslmode: 'prefer' | 'require' }
    | { readonly sslmode: 'verify-full'; readonly sslrootcert?: 'system' },
): string {
  const pairs = { host, port, dbname: database, user, password, ...tls }
  return Object.entries(pairs)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}='${String(value).replace(/[\\']/g, '\\$&')}'`)
    .join(' ')
}
