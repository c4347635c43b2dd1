/** A name that some version of the Go connector had, and what became of it. */
export interface Alias {
  readonly name: string
  /** Its value in today's terms; undefined: the same. */
  readonly convert?: (value: string) => string
}

/** Names of all versions of the Go connector that are others today: each still does what it did. */
export const SOURCE_ALIASES: Readonly<Record<string, Alias>> = {
  table: { name: 'tables' },
  key: { name: 'keys' },
  publication_name: { name: 'logrepl.publicationName' },
  slot_name: { name: 'logrepl.slotName' },
  replication_url: { name: 'replicationUrl' },
  // 2022: with it by logical replication, without it rows were read by their keys, again and again
  cdc: { name: 'cdcMode', convert: (value) => (/^(1|t|true|y|yes|on)$/i.test(value) ? 'logrepl' : 'long_polling') },
}
