import { CONNECTOR_UNREADY } from '../../../core/conduitErrors.js'
import { parseOptions } from '../../../source/options.js'
import { log } from '../plugin/log.js'
import { RegisteredSchemas } from '../schema/registeredSchemas.js'
import type { SchemaService } from '../schema/schemaService.js'
import { schemaWishes } from '../schema/schemaWishes.js'
import { avroFormat } from './avroFormat.js'
import { cleanUp } from './cleanUp.js'
import { jsonFormat } from './jsonFormat.js'
import { OpenedSource } from './openedSource.js'
import type { PayloadFormat } from './payloadFormat.js'
import { type ResumedAt, readPosition } from './readPosition.js'
import { noticesOf, ownerOf, readSourceSettings, type SourceSettings, toSourceOptions } from './sourceOptions.js'
import { type Outlet, SourceRun } from './sourceRun.js'
import { structuredFormat } from './structuredFormat.js'
import { takeOver } from './takeOver.js'

/** One connector of a pipeline, in the order in which the host calls: each process has one. */
export class SourceConnector {
  readonly #connectorId: string
  readonly #schemas: SchemaService
  #settings: SourceSettings | undefined
  #format: PayloadFormat | undefined
  #opening: Promise<OpenedSource> | undefined
  #source: OpenedSource | undefined
  #run: SourceRun | undefined
  #resumedAt: ResumedAt = { position: undefined, half: false }
  #closing: Promise<void> | undefined

  constructor(connectorId: string, schemas: SchemaService) {
    this.#connectorId = connectorId
    this.#schemas = schemas
  }

  /** Checks the settings, without a connection: also called alone, when a user has written them. */
  configure(raw: Readonly<Record<string, string>>): void {
    const settings = readSourceSettings(raw)
    const place = { position: undefined, connectorId: this.#connectorId, takesBinary: false }
    parseOptions(toSourceOptions(settings, place) as never)
    for (const notice of noticesOf(settings)) log('warn', notice)
    this.#settings = settings
  }

  /** Connects, and begins behind `position`; rejects with what keeps it from that. */
  async open(position: Uint8Array): Promise<void> {
    if (this.#settings === undefined) throw CONNECTOR_UNREADY({ call: 'Open', needs: 'Configure' })
    const stored = readPosition(position)
    this.#resumedAt =
      'go' in stored ? { position: await takeOver(stored.go, this.#settings.values), half: false } : stored
    this.#format = payloadFormat(this.#settings, this.#connectorId, this.#schemas)
    const place = {
      position: this.#resumedAt.position,
      connectorId: this.#connectorId,
      takesBinary: this.#format.avro !== undefined,
    }
    this.#opening = OpenedSource.open(toSourceOptions(this.#settings, place))
    this.#source = await this.#opening
  }

  /** The stream of records; one at a time. */
  begin(outlet: Outlet): SourceRun {
    if (this.#source === undefined) throw CONNECTOR_UNREADY({ call: 'Run', needs: 'Open' })
    if (this.#format!.avro !== undefined) this.#schemas.connect()
    this.#run = new SourceRun(this.#source, this.#settings!, this.#format!, outlet, this.#resumedAt)
    return this.#run
  }

  /** No record follows the one whose position this gives; empty: none was sent in this run. */
  stop(): Buffer {
    this.#run?.stop()
    return this.#run?.lastPosition ?? Buffer.alloc(0)
  }

  /** Ends whatever there is; may be called in every state, and again. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** The connector is no more: nothing of it stays on the server. Settings are given anew, `configure` was not called. */
  async deleted(raw: Readonly<Record<string, string>>): Promise<void> {
    const { values } = readSourceSettings(raw)
    if (values['logrepl.autoCleanup'] && values.cdcMode !== 'long_polling') {
      await cleanUp(values, ownerOf(this.#connectorId))
    } else log('info', 'slot and publication are left as they are')
  }

  async #close(): Promise<void> {
    this.#run?.stop()
    await this.#run?.settle().catch(() => {})
    const source = this.#source ?? (await this.#opening?.catch(() => undefined))
    await Promise.all([source?.close(), this.#run?.ended()])
    this.#schemas.close()
  }
}

function payloadFormat(settings: SourceSettings, connectorId: string, schemas: SchemaService): PayloadFormat {
  const plain = settings.values['payload.format'] === 'json' ? jsonFormat : structuredFormat
  const wishes = schemaWishes(settings, connectorId)
  if (wishes.key === undefined && wishes.payload === undefined) return plain
  return avroFormat(wishes, new RegisteredSchemas(schemas), plain)
}
