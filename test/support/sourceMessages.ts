// pgoutput messages of protocol 1, made by hand ("Logical Replication Message Formats" in the PostgreSQL docs).

export interface MadeRelation {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly columns: readonly { readonly name: string; readonly key?: boolean; readonly type?: number }[]
  readonly replicaIdentity?: 'd' | 'n' | 'f' | 'i'
}

/** null is NULL, undefined an unchanged TOASTed value. */
export type MadeTuple = readonly (string | null | undefined)[]

const INT8 = 20

export const made = {
  begin: (finalLsn: bigint, xid = 700) => join('B', int64(finalLsn), int64(0n), int32(xid)),
  commit: (commitLsn: bigint, endLsn: bigint) => join('C', byte(0), int64(commitLsn), int64(endLsn), int64(0n)),
  relation: ({ oid, schema, name, columns, replicaIdentity = 'd' }: MadeRelation) => {
    const described = columns.map(({ name, key, type = INT8 }) =>
      Buffer.concat([byte(key ? 1 : 0), text(name), int32(type), int32(-1)]),
    )
    return join('R', int32(oid), text(schema), text(name), letter(replicaIdentity), int16(columns.length), ...described)
  },
  insert: (oid: number, row: MadeTuple) => join('I', int32(oid), letter('N'), tuple(row)),
  update: (oid: number, row: MadeTuple, old?: { readonly kind: 'K' | 'O'; readonly row: MadeTuple }) =>
    join('U', int32(oid), ...(old === undefined ? [] : [letter(old.kind), tuple(old.row)]), letter('N'), tuple(row)),
  delete: (oid: number, kind: 'K' | 'O', row: MadeTuple) => join('D', int32(oid), letter(kind), tuple(row)),
  truncate: (oids: readonly number[], options = 0) => join('T', int32(oids.length), byte(options), ...oids.map(int32)),
  message: (transactional: boolean, lsn: bigint, prefix: string, content: string) =>
    join('M', byte(transactional ? 1 : 0), int64(lsn), text(prefix), int32(content.length), Buffer.from(content)),
}

function tuple(row: MadeTuple): Buffer {
  const values = row.map((value) => {
    if (value === null) return letter('n')
    if (value === undefined) return letter('u')
    const bytes = Buffer.from(value)
    return Buffer.concat([letter('t'), int32(bytes.length), bytes])
  })
  return Buffer.concat([int16(row.length), ...values])
}

function join(tag: string, ...parts: Buffer[]): Buffer {
  return Buffer.concat([letter(tag), ...parts])
}

function letter(one: string): Buffer {
  return Buffer.from(one, 'latin1')
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`)
}

function byte(value: number): Buffer {
  return Buffer.from([value])
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}
