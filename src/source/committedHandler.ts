import { MESSAGE_NOT_EXPECTED } from '../core/errors.js'

/** The messages that only streamed or two-phase transactions have. Neither is asked for: protocol 1, no two-phase slot. */
export abstract class CommittedHandler {
  origin(): void {}
  type(): void {}

  streamStart(): never {
    throw MESSAGE_NOT_EXPECTED({ message: 'Stream Start' })
  }
  streamStop(): never {
    throw MESSAGE_NOT_EXPECTED({ message: 'Stream Stop' })
  }
  streamCommit(): never {
    throw MESSAGE_NOT_EXPECTED({ message: 'Stream Commit' })
  }
  streamAbort(): never {
    throw MESSAGE_NOT_EXPECTED({ message: 'Stream Abort' })
  }
  beginPrepare(): never {
    throw MESSAGE_NOT_EXPECTED({ message: 'Begin Prepare' })
  }
  prepare(): never {
    throw MESSAGE_NOT_EXPECTED({ message: 'Prepare' })
  }
  commitPrepared(): never {
    throw MESSAGE_NOT_EXPECTED({ message: 'Commit Prepared' })
  }
  rollbackPrepared(): never {
    throw MESSAGE_NOT_EXPECTED({ message: 'Rollback Prepared' })
  }
  streamPrepare(): never {
    throw MESSAGE_NOT_EXPECTED({ message: 'Stream Prepare' })
  }
}
