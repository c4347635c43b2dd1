import { quoteLiteral } from '../../../postgres/identifier.js'
import { describeTransaction, type RunningTransaction } from '../../../postgres/runningTransactions.js'
import { type DoctorFacts, errorOf, knownOf } from '../facts.js'
import { advice, type Finding, sql, verdicts } from '../finding.js'

const { ok, problem, warning } = verdicts('transactions')

/** What lives longer than this is likely to live on. */
const LONG_SECONDS = 60

const WHY =
  'Making a slot waits, without limit, until every transaction has ended that was writing then, in whatever database.'

/** Who would hold the creation of a slot up. */
export function transactionFindings({ database, wishes }: DoctorFacts): Finding[] {
  const error = errorOf(database?.transactions)
  if (error !== undefined) {
    return [warning({ code: 'RUNNING_TRANSACTIONS', found: error.message, why: WHY, mend: [advice(error.hint)] })]
  }
  const running = knownOf(database?.transactions)
  if (running === undefined) return []
  const slotExists = knownOf(database?.slots)?.some(({ name }) => name === wishes.slot) === true
  const long = running.filter((one) => (one.seconds ?? 0) >= LONG_SECONDS)
  const findings = long.map((one) => judge(one, slotExists))
  if (findings.length > 0) return findings
  const found =
    running.length === 0
      ? 'no transaction is writing'
      : `none has been writing for longer than ${LONG_SECONDS} s (now: ${running.slice(0, 3).map(describeTransaction).join(', ')}${running.length > 3 ? ', …' : ''})`
  return [ok({ code: 'RUNNING_TRANSACTIONS', found, why: WHY })]
}

function judge(transaction: RunningTransaction, slotExists: boolean): Finding {
  const { gid, pid, database } = transaction
  const where = database === undefined ? '' : ` in database ${database}`
  const found = `${describeTransaction(transaction)}${where} is open`
  if (gid === undefined) {
    const mend =
      pid === undefined ? [] : [advice('Have it end; or, its work lost:'), sql(`SELECT pg_terminate_backend(${pid});`)]
    return warning({ code: 'LONG_TRANSACTION', found, why: WHY, mend })
  }
  // Nobody is there who would end it.
  return (slotExists ? warning : problem)({
    code: 'PREPARED_TRANSACTION',
    found,
    why: WHY,
    mend: [
      advice(`End it${where}, as its owner or a superuser, by one of:`),
      sql(`COMMIT PREPARED ${quoteLiteral(gid)};`),
      sql(`ROLLBACK PREPARED ${quoteLiteral(gid)};`),
    ],
  })
}
