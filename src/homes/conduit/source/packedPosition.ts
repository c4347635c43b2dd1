import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { POSITION_INVALID } from '../../../core/errors.js'
import type { PositionPacking } from '../../../source/positionText.js'
import { placeText, stepText } from '../../../source/stepText.js'
import { CODED, codeText, decodeText } from './positionCode.js'

// ~<beginning, coded><rest>   p<beginning, deflated, in base64><rest>
// a rest is ^<step> or %<place>, and in versions before .<text>, behind p alone

const CODED_POSITION = new RegExp(`^~(${CODED})([\\^%].*)$`, 's')
const DEFLATED_POSITION = /^p([A-Za-z0-9+/]*=*)([.^%].*)$/s
const OF_STEP = '^'
const OF_PLACE = '%'
/** 4 kB: a larger window costs more to make than it saves. Readers take any. */
const WINDOW_BITS = 12
/** Coded, so many characters hold several tables, which are alike: deflated they may be shorter. */
const LONG = 300

/** What positions are made of. Stored positions are read by it: not a character of it can ever change. */
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
 * A beginning that a position has in common with others, in a quarter of the characters: it travels with every record, and comes
 * back with every acknowledgement. All of it is text: Conduit has positions as bytes, and prints them as text in its logs and errors,
 * some of which go on as text of messages that have to be UTF-8.
 */
export const packing: PositionPacking = {
  beforeStep: (beginning) => pack(beginning) + OF_STEP,
  beforePlace: (beginning) => pack(beginning) + OF_PLACE,
}

function pack(text: string): string {
  const coded = `~${codeText(text)}`
  if (coded.length < LONG) return coded
  const bytes = deflateRawSync(text, { dictionary: KNOWN, level: 9, windowBits: WINDOW_BITS })
  const deflated = `p${bytes.toString('base64')}`
  return deflated.length < coded.length ? deflated : coded
}

/**
 * The text of a position that was packed, by any version; any other one as it is: of Conduit's own connector `payments.old:12` may be
 * one. Throws `POSITION_INVALID`.
 */
export function unpackPosition(text: string): string {
  const [, coded, codedRest] = CODED_POSITION.exec(text) ?? []
  const [, deflated, deflatedRest] = DEFLATED_POSITION.exec(text) ?? []
  const rest = restOf(codedRest ?? deflatedRest ?? '')
  if (rest === undefined) return text
  try {
    const beginning = coded === undefined ? inflate(deflated!) : decodeText(coded)
    return `${beginning}${rest}`
  } catch (cause) {
    throw POSITION_INVALID({ problem: 'its beginning cannot be unpacked' }, { cause })
  }
}

function restOf(rest: string): string | undefined {
  const text = rest.slice(1)
  if (rest.startsWith(OF_STEP)) return stepText(text)
  if (rest.startsWith(OF_PLACE)) return placeText(text)
  return text.endsWith('}') ? text : undefined
}

function inflate(base64: string): Buffer {
  return inflateRawSync(Buffer.from(base64, 'base64'), { dictionary: KNOWN })
}
