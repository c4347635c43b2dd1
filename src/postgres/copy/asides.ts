import { NOTICE_RESPONSE, NOTIFICATION_RESPONSE, PARAMETER_STATUS } from '../frames.js'
import { serverError } from '../serverError.js'

/** For a message without a part in a COPY: what the server says at any time is passed over, anything else is an error. */
export function passOver(tag: number): void {
  switch (tag) {
    case NOTICE_RESPONSE:
    case PARAMETER_STATUS:
    case NOTIFICATION_RESPONSE:
      return
    default:
      throw serverError({ sqlstate: '08P01', message: `message 0x${tag.toString(16)} in the middle of a COPY` })
  }
}

/** The session is ready again, and of the COPY neither the end came nor an error. */
export function endedEarly(): Error {
  return serverError({ sqlstate: '08P01', message: 'a COPY ended without its end' })
}
