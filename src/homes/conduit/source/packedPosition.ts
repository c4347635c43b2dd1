import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { POSITION_INVALID } from '../../../core/errors.js'

// p<beginning, deflated, in base64>.<the rest, as it is>

const PACKED = 'p'
const END = '.'
/** 4 kB: a larger window costs more to make than it saves. Readers take any. */
const WINDOW_BITS = 12
/** What is shorter comes out no shorter. */
const LEAST_CHARACTERS = 64

/**
 * What positions are made of: with that known beforehand, what is left of one is little more than its names and numbers. Stored
 * positions are read by it: not a character of it can ever change (another one would be of another letter).
 */
const KNOWN = Buffer.from(
  '"leaving":[],"partitions":"","polling":{"again":true,"more":true,"where":"","begun":true,"overtaken":[{"key":[""],"until":"0/"}],' +
    '"apart":[],"next":{"unproved":[[,"0/",[1]]],"oid":,"id":"0/","schema":"public","name":"","key":["id"],"stretches":[{"to":["0"],' +
    '"snapshot":"::","until":"0/"},{"to":["1"]},{"to":["2"],"read":true},{"to":["3"]},{}]},{}],"begun":true},{"oid":16384,"id":"0/' +
    '{"version":1,"system":"7","timeline":1,"database":"postgres","slot":"conduitslot","epoch":1,"captured":[16384,16385],' +
    '"publications":"16386","lsn":"0/1","seq":-1,"sub":0,"end":"0/","fingerprint":0,"snapshot":{"id":"0/","rows":0,"tables":[{"oid":163' +
    '"id":"0/","schema":"public","name":"","key":["id"],"stretches":[{"to":["1000"],"read":true},{}]}],"upTo":{"oid":16384,"stretch":0,' +
    '"read":true,"rows":',
)

/**
 * The beginning that a position has in common with others, shorter by two thirds: it travels with every record, and comes
 * back with every acknowledgement. What is put behind it may be any text.
 */
export function packBeginning(text: string): string {
  if (text.length < LEAST_CHARACTERS) return text
  return `${PACKED}${deflateRawSync(text, { dictionary: KNOWN, level: 9, windowBits: WINDOW_BITS }).toString('base64')}${END}`
}

/** The text of a position that begins with what `packBeginning` gave; any other one as it is. Throws `POSITION_INVALID`. */
export function unpackPosition(text: string): string {
  const end = text.indexOf(END)
  // Of Conduit's own connector `payments.old:12` may be one.
  if (!text.startsWith(PACKED) || end < 0 || !text.endsWith('}')) return text
  try {
    const beginning = inflateRawSync(Buffer.from(text.slice(1, end), 'base64'), { dictionary: KNOWN })
    return `${beginning}${text.slice(end + 1)}`
  } catch (cause) {
    throw POSITION_INVALID({ problem: 'its beginning cannot be unpacked' }, { cause })
  }
}
