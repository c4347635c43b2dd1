import { SPOOL_DAMAGED, SPOOL_FAILED, SPOOL_FULL, STREAMING_GIVEN_UP } from '../../core/errors.js'
import type { TailraceError } from '../../core/tailraceError.js'
import { WORK_MEM_REFUSED } from '../../core/warnings.js'
import { quoteText } from '../../postgres/replication/quote.js'
import { isTransient, sqlstateOf } from '../../postgres/serverError.js'
import type { Session } from '../../postgres/session.js'
import { asWarning, type SourceEvent } from '../events.js'
import type { ParsedOptions } from '../options.js'
import type { SpoolSettings } from './transactionSpool.js'

export type Streaming = SpoolSettings

/**
 * What the server may hold in memory while it streams. Less is not slower (1 M rows in one transaction: 64 MB 4.4 s,
 * 16 MB 4.0 s, 4 MB 3.9 s, 1 MB 3.8 s), and what is left to be sent at the commit is little: with 64 MB the last rows
 * come 0.4 s and more behind it.
 */
const STREAMING_WORK_MEM = '4MB'

/** `internal_error`: PostgreSQL 14 to 18 "could not map filenode" after DDL in a rolled-back sub-transaction. */
const INTERNAL_ERROR = 'XX000'

export interface StreamingChoice {
  readonly streaming: Streaming | undefined
  readonly workMem: string | undefined
}

/**
 * A temporary slot dies with the stream's first error, and streaming may bring one that would not have come without: so
 * it is for slots that outlive it.
 */
export function chooseStreaming(options: ParsedOptions, temporarySlot: boolean): StreamingChoice {
  const { logicalDecodingWorkMem } = options
  if (options.streaming === 'off' || temporarySlot) return { streaming: undefined, workMem: logicalDecodingWorkMem }
  return {
    streaming: { folder: options.spoolFolder, memoryBytes: options.spoolMemoryBytes, maxBytes: options.spoolMaxBytes },
    workMem: logicalDecodingWorkMem ?? STREAMING_WORK_MEM,
  }
}

/** A warning, if the error is one of streaming alone: without it the same changes come, exactly. */
export function giveUpStreaming(error: unknown): SourceEvent | undefined {
  if ([SPOOL_FULL, SPOOL_FAILED, SPOOL_DAMAGED, STREAMING_GIVEN_UP].some((one) => one.is(error))) {
    return asWarning(error as TailraceError)
  }
  if (sqlstateOf(error) !== INTERNAL_ERROR) return undefined
  return asWarning(STREAMING_GIVEN_UP({ problem: (error as TailraceError).message }, { cause: error }))
}

/** Only a means to be faster: a server that refuses it is read without. */
export async function setWorkMem(session: Session, workMem: string, emit: (event: SourceEvent) => void): Promise<void> {
  try {
    await session.query(`SET logical_decoding_work_mem = ${quoteText(workMem)}`)
  } catch (error) {
    if (isTransient(error)) throw error
    emit(WORK_MEM_REFUSED({ workMem, problem: (error as Error).message }))
  }
}
