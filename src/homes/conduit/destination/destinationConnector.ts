import { CONNECTOR_UNREADY } from '../../../core/conduitErrors.js'
import { PlainDestination } from '../../../destination/plainDestination.js'
import { log } from '../plugin/log.js'
import type { SchemaService } from '../schema/schemaService.js'
import { type DestinationPlan, readDestination } from './destinationOptions.js'
import { DestinationRun, type Port } from './destinationRun.js'
import { RecordReader } from './recordReader.js'
import { SchemaTextCache } from './schemaTexts.js'
import { TargetTables } from './targetTables.js'

/** A destination of a pipeline, in the order in which the host calls: each process has one, or a source. */
export class DestinationConnector {
  readonly #connectorId: string
  readonly #schemas: SchemaService
  readonly #ended = new AbortController()
  #plan: DestinationPlan | undefined
  #opening: Promise<void> | undefined
  #destination: PlainDestination | undefined
  #run: DestinationRun | undefined
  #closing: Promise<void> | undefined

  constructor(connectorId: string, schemas: SchemaService) {
    this.#connectorId = connectorId
    this.#schemas = schemas
  }

  /** Checks the settings, without a connection: also called alone, when a user has written them. */
  configure(raw: Readonly<Record<string, string>>): void {
    this.#plan = readDestination(raw)
    for (const notice of this.#plan.notices) log('warn', notice)
  }

  /** Connects; rejects with what keeps it from that. */
  async open(): Promise<void> {
    if (this.#plan === undefined) throw CONNECTOR_UNREADY({ call: 'Open', needs: 'Configure' })
    const { values, connection, mode } = this.#plan
    const { replicationRole, synchronousCommit, retryTimeout: retryMs } = values
    this.#destination = new PlainDestination({
      ...{ connection, mode, retryMs, replicationRole, synchronousCommit },
      signal: this.#ended.signal,
      name: this.#connectorId,
      onOtherWriter: () => log('warn', `another connector ${this.#connectorId} is writing into this database`),
    })
    this.#opening = this.#destination.open()
    await this.#opening
  }

  /** The stream of records; one at a time. */
  begin(port: Port): DestinationRun {
    const plan = this.#plan
    const destination = this.#destination
    if (plan === undefined || destination === undefined) throw CONNECTOR_UNREADY({ call: 'Run', needs: 'Open' })
    const schemas = new SchemaTextCache(this.#schemas).get
    const tables = new TargetTables(destination, plan.key, schemas)
    const reader = new RecordReader({
      ...{ route: plan.route, tables, schemas },
      decodesKeys: plan.values['sdk.schema.extract.key.enabled'],
      decodesRows: plan.values['sdk.schema.extract.payload.enabled'],
    })
    this.#run = new DestinationRun({ plan, destination, tables, reader, port })
    return this.#run
  }

  /** Everything up to the last record that the host has sent is written, and acknowledged. */
  async stop(lastPosition: Buffer): Promise<void> {
    await this.#run?.stop(lastPosition)
  }

  /** Ends whatever there is; may be called in every state, and again. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#run?.end()
    this.#ended.abort()
    await this.#opening?.catch(() => {})
    await this.#destination?.close()
    this.#schemas.close()
  }
}
