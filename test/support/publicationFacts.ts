import type { Publication } from '../../src/postgres/publication.js'

type Named = Pick<Publication['tables'][number], 'oid' | 'schema' | 'name'>

/** The facts of a publication as the catalog would give them: of these tables, all of each, with every operation. */
export function publicationFacts(tables: readonly Named[], facts: Partial<Publication> = {}): Publication {
  return {
    oid: 16400,
    name: 'shop',
    owner: 'postgres',
    allTables: false,
    insert: true,
    update: true,
    delete: true,
    truncate: true,
    viaRoot: true,
    generatedColumns: 'none',
    tables: tables.map(({ oid, schema, name }) => ({ oid, schema, name, rowFilter: undefined, columns: undefined })),
    schemas: [],
    serverVersion: 170_000,
    ...facts,
  }
}
