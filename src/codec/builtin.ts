import type { ReadValue, WriteJson } from '../core/table.js'
import { writeBool } from './json/bool.js'
import { writeChar } from './json/char.js'
import { writeDocument } from './json/document.js'
import {
  FORM_BOOL,
  FORM_JSON,
  FORM_NUMBER,
  FORM_OTHER,
  FORM_PLAIN,
  FORM_TEXT,
  FORM_TIMESTAMP,
  FORM_TIMESTAMPTZ,
  FORM_TOKEN,
} from './json/form.js'
import { writeNumber } from './json/number.js'
import { writePlain } from './json/plain.js'
import { writeJsonString } from './json/text.js'
import { writeTimestamp, writeTimestamptz } from './json/timestamp.js'
import { writeToken } from './json/token.js'
import { readBool } from './value/bool.js'
import { readBytea } from './value/bytea.js'
import { documentReader } from './value/document.js'
import { readBigint, readFloat, readInteger } from './value/number.js'
import { readTimestamp, readTimestamptz } from './value/timestamp.js'

export const INT8 = 20
export const NUMERIC = 1700
export const BYTEA = 17
export const TIMESTAMP = 1114
export const TIMESTAMPTZ = 1184
const CHAR = 18

/** The form of each built-in scalar that is not FORM_TEXT, by OID (pg_type.dat; these never change). */
export const FORMS: ReadonlyMap<number, number> = new Map<number, number>([
  [INT8, FORM_TOKEN],
  [21, FORM_TOKEN], // int2
  [23, FORM_TOKEN], // int4
  [3802, FORM_TOKEN], // jsonb
  [NUMERIC, FORM_NUMBER],
  [700, FORM_NUMBER], // float4
  [701, FORM_NUMBER], // float8
  [16, FORM_BOOL], // bool
  [114, FORM_JSON], // json
  [TIMESTAMP, FORM_TIMESTAMP],
  [TIMESTAMPTZ, FORM_TIMESTAMPTZ],
  [BYTEA, FORM_OTHER],
  [CHAR, FORM_OTHER],
  // Digits, ASCII letters and - + : . , / ( ) [ ] < > { } only. Not among them: money (lc_monetary may be anything),
  // daterange (`"0044-03-15 BC"` has quotes) and the ranges of timestamps.
  [26, FORM_PLAIN], // oid
  [27, FORM_PLAIN], // tid            (0,1)
  [28, FORM_PLAIN], // xid
  [29, FORM_PLAIN], // cid
  [5069, FORM_PLAIN], // xid8
  [1082, FORM_PLAIN], // date         0044-03-15 BC
  [1083, FORM_PLAIN], // time
  [1266, FORM_PLAIN], // timetz       24:00:00-15:59:59
  [1186, FORM_PLAIN], // interval     P10M3DT-4H-5M-6.789S
  [2950, FORM_PLAIN], // uuid
  [3220, FORM_PLAIN], // pg_lsn       0/16B3748
  [869, FORM_PLAIN], // inet          ::ffff:1.2.3.4/128
  [650, FORM_PLAIN], // cidr
  [829, FORM_PLAIN], // macaddr
  [774, FORM_PLAIN], // macaddr8
  [1560, FORM_PLAIN], // bit
  [1562, FORM_PLAIN], // varbit
  [600, FORM_PLAIN], // point         (1e+20,NaN)
  [601, FORM_PLAIN], // lseg          [(1,2),(3,4)]
  [602, FORM_PLAIN], // path
  [603, FORM_PLAIN], // box
  [604, FORM_PLAIN], // polygon
  [628, FORM_PLAIN], // line          {1,-1,0}
  [718, FORM_PLAIN], // circle        <(1,2),3>
  [2970, FORM_PLAIN], // txid_snapshot 10:20:10,14
  [5038, FORM_PLAIN], // pg_snapshot
  [3904, FORM_PLAIN], // int4range    [1,10)
  [3906, FORM_PLAIN], // numrange
  [3926, FORM_PLAIN], // int8range
  [4451, FORM_PLAIN], // int4multirange
  [4532, FORM_PLAIN], // nummultirange
  [4536, FORM_PLAIN], // int8multirange
])

/** What writes each form; bytea, the one of FORM_OTHER with a choice, is settled by the options. */
export const WRITERS: Readonly<Record<number, WriteJson>> = {
  [FORM_TOKEN]: writeToken,
  [FORM_NUMBER]: writeNumber,
  [FORM_BOOL]: writeBool,
  [FORM_PLAIN]: writePlain,
  [FORM_TEXT]: writeJsonString,
  [FORM_TIMESTAMP]: writeTimestamp,
  [FORM_TIMESTAMPTZ]: writeTimestamptz,
  [FORM_JSON]: writeDocument,
  [FORM_OTHER]: writeChar,
}

/** The JavaScript form of each built-in scalar that is not its text. numeric is: no number holds it. */
export const READERS: ReadonlyMap<number, ReadValue> = new Map<number, ReadValue>([
  [16, readBool],
  [21, readInteger],
  [23, readInteger],
  [26, readInteger], // oid
  [INT8, readBigint],
  [700, readFloat],
  [701, readFloat],
  [BYTEA, readBytea],
  [114, documentReader('json')],
  [3802, documentReader('jsonb')],
  [TIMESTAMP, readTimestamp],
  [TIMESTAMPTZ, readTimestamptz],
])
