import type { Side } from './side.js'
import type { Hashing } from './sideSql.js'

/** Of one value of each native form: what the two servers must agree on. */
const PROBE = `
SELECT pg_catalog.getdatabaseencoding() AS encoding,
       pg_catalog.hash_record_extended(
         ROW(42::pg_catalog.int8, 'tailrace'::pg_catalog.text COLLATE pg_catalog."C", true, '\\x00ff'::pg_catalog.bytea,
             '2026-11-22'::pg_catalog.date, '12:34:56.789'::pg_catalog.time,
             '2026-11-22 12:34:56.789'::pg_catalog.timestamp, '2026-11-22 12:34:56.789+00'::pg_catalog.timestamptz,
             'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::pg_catalog.uuid, NULL::pg_catalog.text), 0)::pg_catalog.text AS hash`

/** The fast way of hashing rows if both servers give the same, which those of one encoding and byte order do. */
export async function chooseHashing(source: Side, target: Side): Promise<Hashing> {
  const [[one], [other]] = await Promise.all([source.query(PROBE), target.query(PROBE)])
  return one!.encoding === other!.encoding && one!.hash === other!.hash ? 'native' : 'portable'
}
