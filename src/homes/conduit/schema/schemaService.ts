import { SCHEMA_REFUSED, SCHEMA_SERVICE_UNREACHABLE, SCHEMA_UNKNOWN } from '../../../core/conduitErrors.js'
import type { PluginEnvironment } from '../plugin/environment.js'
import { GrpcClient, type UnaryCallMethod } from '../plugin/grpc/grpcClient.js'
import { DEADLINE_EXCEEDED, GrpcFailure, UNAVAILABLE } from '../plugin/grpc/status.js'
import { SchemaServiceService } from '../proto/connutils/v1/schema_service.js'
import { Schema_Type } from '../proto/schema/v1/schema.js'

/** An external registry may have to be asked by the host. */
const DEADLINE_MS = 30_000
const TOKEN = 'conduit-connector-token'
/** The host listens on all addresses, and is on this machine. */
const ANY_ADDRESS = /^(?:\[::\]|0\.0\.0\.0)?:(\d+)$/

/** What a record's metadata says of its schema. */
export interface SchemaReference {
  readonly subject: string
  readonly version: number
}

type Refusal = (problem: string, options?: ErrorOptions) => Error

/** The host's registry of schemas; a connection is made with the first call, or by `connect`. */
export class SchemaService {
  readonly #target: string
  readonly #token: string
  #client: GrpcClient | undefined

  constructor({ utilitiesTarget, token }: Pick<PluginEnvironment, 'utilitiesTarget' | 'token'>) {
    this.#target = utilitiesTarget.replace(ANY_ADDRESS, 'localhost:$1')
    this.#token = token
  }

  /** A schema is to be registered soon: what is wrong with the connection is told then. */
  connect(): void {
    if (this.#target !== '') this.#connect('').connect()
  }

  /**
   * Registers an Avro schema; the same text in the same subject gives the same version again. Rejects with
   * `SCHEMA_SERVICE_UNREACHABLE` or `SCHEMA_REFUSED`.
   */
  async create(subject: string, schema: string): Promise<SchemaReference> {
    const request = { subject, type: Schema_Type.TYPE_AVRO, bytes: Buffer.from(schema) }
    const refused: Refusal = (problem, options) => SCHEMA_REFUSED({ subject, problem }, options)
    const { schema: registered } = await this.#call(SchemaServiceService.createSchema, request, refused)
    if (registered === undefined) throw refused('its answer has no schema')
    return { subject: registered.subject, version: registered.version }
  }

  /** The text of an Avro schema. Rejects with `SCHEMA_SERVICE_UNREACHABLE` or `SCHEMA_UNKNOWN`. */
  async get({ subject, version }: SchemaReference): Promise<string> {
    const unknown: Refusal = (problem, options) => SCHEMA_UNKNOWN({ subject, version, problem }, options)
    const { schema } = await this.#call(SchemaServiceService.getSchema, { subject, version }, unknown)
    if (schema?.type !== Schema_Type.TYPE_AVRO) throw unknown('the answer has no Avro schema')
    return schema.bytes.toString()
  }

  /** `refused`: what it is where the service answers with an error. */
  async #call<Request extends { readonly subject: string }, Response>(
    method: UnaryCallMethod<Request, Response>,
    request: Request,
    refused: Refusal,
  ): Promise<Response> {
    const { subject } = request
    const client = this.#connect(subject)
    try {
      return await client.call(method, request, { metadata: { [TOKEN]: this.#token }, deadlineMs: DEADLINE_MS })
    } catch (error) {
      if (!(error instanceof GrpcFailure)) throw error
      const { status, message: problem } = error
      if (status !== UNAVAILABLE && status !== DEADLINE_EXCEEDED) throw refused(problem, { cause: error })
      throw SCHEMA_SERVICE_UNREACHABLE({ subject, target: this.#target, problem }, { cause: error })
    }
  }

  close(): void {
    this.#client?.close()
    this.#client = undefined
  }

  #connect(subject: string): GrpcClient {
    if (this.#target === '') {
      const problem = 'CONDUIT_CONNECTOR_UTILITIES_GRPC_TARGET is not set'
      throw SCHEMA_SERVICE_UNREACHABLE({ subject, target: 'nowhere', problem })
    }
    this.#client ??= new GrpcClient(this.#target)
    return this.#client
  }
}
