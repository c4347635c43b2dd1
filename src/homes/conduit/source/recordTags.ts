/** Source.Run.Response: `repeated Record records = 1`. */
export const RECORD = 0x0a
/** Record. */
export const POSITION = 0x0a
export const OPERATION = 0x10
export const KEY = 0x22
export const PAYLOAD = 0x2a
/** Change. */
export const BEFORE = 0x0a
export const AFTER = 0x12
/** Data: `bytes raw_data = 1`. */
export const RAW_DATA = 0x0a

/** `opencdc.v1.Operation`. */
export const OPERATION_SNAPSHOT = 4
