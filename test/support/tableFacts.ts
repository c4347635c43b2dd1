import type { CatalogTable, LeafPartition } from '../../src/postgres/catalog/tables.js'

let oids = 16384

/**
 * The facts of a table as the catalog would give them: `tableFacts({ columns: ['id!', 'code!', 'note'] })`, where `!`
 * is NOT NULL, `=` a stored and `~` a virtual generated column. Without more: ordinary, no key, default identity.
 */
export function tableFacts(facts: Partial<Omit<CatalogTable, 'columns'>> & { columns?: string[] } = {}): CatalogTable {
  const { columns = ['id!', 'note'], ...rest } = facts
  return {
    oid: ++oids,
    schema: 'public',
    name: 'orders',
    kind: 'ordinary',
    owner: 'postgres',
    estimatedRows: undefined,
    pages: 0,
    replicaIdentity: 'default',
    identityColumns: undefined,
    columns: columns.map((text, index) => ({
      number: index + 1,
      name: text.replace(/[!=~]/g, ''),
      typeOid: 23,
      typmod: -1,
      typeName: 'integer',
      notNull: text.includes('!'),
      generated: text.includes('=') ? ('stored' as const) : text.includes('~') ? ('virtual' as const) : undefined,
      readable: true,
    })),
    primaryKey: undefined,
    uniqueKeys: [],
    partitions: [],
    ancestors: [],
    hasChildren: false,
    rowSecurity: false,
    schemaUsable: true,
    readable: true,
    ...rest,
  }
}

/** A table with an ordinary primary key, which is its replica identity. */
export function keyedTable(facts: Parameters<typeof tableFacts>[0] = {}, key: string[] = ['id']): CatalogTable {
  return tableFacts({ identityColumns: key, primaryKey: primaryKey(key), ...facts })
}

export function primaryKey(columns: string[], deferrable = false) {
  return { name: 'orders_pkey', columns, deferrable }
}

export function leaf(name: string, facts: Partial<LeafPartition> = {}): LeafPartition {
  return {
    oid: ++oids,
    schema: 'public',
    name,
    kind: 'ordinary',
    persistence: 'permanent',
    replicaIdentity: 'default',
    identityColumns: undefined,
    estimatedRows: undefined,
    pages: 0,
    rowSecurity: false,
    schemaUsable: true,
    readable: true,
    ...facts,
  }
}
