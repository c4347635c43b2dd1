import type { ReplicaIdentity } from '../../core/table.js'
import type { MessageReader } from './reader.js'

export interface RelationColumn {
  readonly name: string
  readonly typeOid: number
  readonly typmod: number
  /** Belongs to the replica identity; every column does when that is `full`. */
  readonly partOfKey: boolean
}

/** A relation as one Relation message described it. Immutable: every message makes a new one. */
export class Relation {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly replicaIdentity: ReplicaIdentity
  readonly columns: readonly RelationColumn[]

  constructor(
    oid: number,
    schema: string,
    name: string,
    replicaIdentity: ReplicaIdentity,
    columns: readonly RelationColumn[],
  ) {
    this.oid = oid
    this.schema = schema
    this.name = name
    this.replicaIdentity = replicaIdentity
    this.columns = columns
  }
}

const PART_OF_KEY = 1

// Relation, behind its tag and the xid of a streamed block:
//   Int32 (Oid)   relid
//   String        namespace, empty for pg_catalog
//   String        relation name
//   Int8          replica identity, as relreplident in pg_class
//   Int16         number of columns; then for each (no generated ones, unless they are published):
//     Int8        flags: 1 part of the key
//     String      column name
//     Int32 (Oid) data type
//     Int32       type modifier
export function readRelation(reader: MessageReader): Relation {
  const relid = reader.oid('relid')
  const schema = readNamespace(reader)
  const name = reader.string('relation name')
  const replicaIdentity = readReplicaIdentity(reader)
  const count = reader.uint16('number of columns')
  const columns: RelationColumn[] = []
  while (columns.length < count) {
    const partOfKey = reader.flags(PART_OF_KEY, 'column flags') === PART_OF_KEY
    const column = reader.string('column name')
    const typeOid = reader.oid('data type')
    const typmod = reader.int32('type modifier')
    columns.push({ name: column, typeOid, typmod, partOfKey })
  }
  reader.finish()
  return new Relation(relid, schema, name, replicaIdentity, columns)
}

/** String: a schema's name, which pgoutput leaves empty for pg_catalog. */
export function readNamespace(reader: MessageReader): string {
  return reader.string('namespace') || 'pg_catalog'
}

function readReplicaIdentity(reader: MessageReader): ReplicaIdentity {
  const letter = reader.uint8('replica identity')
  switch (letter) {
    case 0x64: // 'd'
      return 'default'
    case 0x6e: // 'n'
      return 'nothing'
    case 0x66: // 'f'
      return 'full'
    case 0x69: // 'i'
      return 'index'
    default:
      return reader.fail(`unknown replica identity ${letter}`, reader.p - 1)
  }
}
