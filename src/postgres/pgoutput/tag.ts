// The first byte of each message: LogicalRepMsgType in logicalproto.h.
export const BEGIN = 0x42 // 'B'
export const MESSAGE = 0x4d // 'M'
export const COMMIT = 0x43 // 'C'
export const ORIGIN = 0x4f // 'O'
export const RELATION = 0x52 // 'R'
export const TYPE = 0x59 // 'Y'
export const INSERT = 0x49 // 'I'
export const UPDATE = 0x55 // 'U'
export const DELETE = 0x44 // 'D'
export const TRUNCATE = 0x54 // 'T'
export const STREAM_START = 0x53 // 'S'
export const STREAM_STOP = 0x45 // 'E'
export const STREAM_COMMIT = 0x63 // 'c'
export const STREAM_ABORT = 0x41 // 'A'
export const BEGIN_PREPARE = 0x62 // 'b'
export const PREPARE = 0x50 // 'P'
export const COMMIT_PREPARED = 0x4b // 'K'
export const ROLLBACK_PREPARED = 0x72 // 'r'
export const STREAM_PREPARE = 0x70 // 'p'

const NAMES = new Map([
  [BEGIN, 'Begin'],
  [MESSAGE, 'Message'],
  [COMMIT, 'Commit'],
  [ORIGIN, 'Origin'],
  [RELATION, 'Relation'],
  [TYPE, 'Type'],
  [INSERT, 'Insert'],
  [UPDATE, 'Update'],
  [DELETE, 'Delete'],
  [TRUNCATE, 'Truncate'],
  [STREAM_START, 'Stream Start'],
  [STREAM_STOP, 'Stream Stop'],
  [STREAM_COMMIT, 'Stream Commit'],
  [STREAM_ABORT, 'Stream Abort'],
  [BEGIN_PREPARE, 'Begin Prepare'],
  [PREPARE, 'Prepare'],
  [COMMIT_PREPARED, 'Commit Prepared'],
  [ROLLBACK_PREPARED, 'Rollback Prepared'],
  [STREAM_PREPARE, 'Stream Prepare'],
])

/** The message's name in the PostgreSQL docs; undefined when no message has this tag. */
export function messageName(tag: number): string | undefined {
  return NAMES.get(tag)
}
