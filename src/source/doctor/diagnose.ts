import { connectionFindings } from './checks/connection.js'
import { publicationFindings } from './checks/publication.js'
import { serverFindings } from './checks/server.js'
import { slotFindings } from './checks/slots.js'
import { tableFindings } from './checks/tables.js'
import { transactionFindings } from './checks/transactions.js'
import type { DoctorFacts } from './facts.js'
import type { Finding } from './finding.js'

/** Every check over the facts, in the order in which they are told. Pure. */
export function diagnose(facts: DoctorFacts): Finding[] {
  return [
    ...connectionFindings(facts),
    ...serverFindings(facts),
    ...slotFindings(facts),
    ...tableFindings(facts),
    ...publicationFindings(facts),
    ...transactionFindings(facts),
  ]
}
