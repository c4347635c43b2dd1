import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js'
import {
  type CreateSchemaRequest,
  type CreateSchemaResponse,
  type GetSchemaRequest,
  type GetSchemaResponse,
  SchemaServiceService,
} from '../../../src/homes/conduit/proto/connutils/v1/schema_service.js'
import type { Schema } from '../../../src/homes/conduit/proto/schema/v1/schema.js'

/**
 * Conduit's schema service (reference section 2.5): versions begin at 1, the same text in the same subject is the same
 * version, and every call needs the token that the plugin was given.
 */
export class SchemaRegistry implements AsyncDisposable {
  readonly subjects = new Map<string, Schema[]>()
  /** Calls of CreateSchema, by subject. */
  readonly created: string[] = []
  /** What it answers instead of registering. */
  refusal: string | undefined
  readonly #server = new Server()
  #port = 0
  #ids = 0
  #tokens = new Set<string>()

  static async start(): Promise<SchemaRegistry> {
    const registry = new SchemaRegistry()
    registry.#server.addService(SchemaServiceService, {
      createSchema: registry.#serve(registry.#create.bind(registry)),
      getSchema: registry.#serve(registry.#get.bind(registry)),
    })
    await new Promise<void>((resolve, reject) => {
      registry.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
        registry.#port = port
        if (error === null) resolve()
        else reject(error)
      })
    })
    return registry
  }

  /** As Conduit hands it to plugins. */
  get target(): string {
    return `[::]:${this.#port}`
  }

  /** A plugin that is started with this token may call. */
  admit(token: string): void {
    this.#tokens.add(token)
  }

  /** The schema of a record's key or payload, by its metadata. */
  schemaOf(metadata: Readonly<Record<string, string>>, part: 'key' | 'payload'): string {
    const subject = metadata[`opencdc.${part}.schema.subject`]!
    return this.#find(subject, Number(metadata[`opencdc.${part}.schema.version`])).bytes.toString()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown()
  }

  #create({ subject, type, bytes }: CreateSchemaRequest): CreateSchemaResponse {
    this.created.push(subject)
    if (this.refusal !== undefined) throw new Error(this.refusal)
    const versions = this.subjects.get(subject) ?? []
    this.subjects.set(subject, versions)
    const known = versions.find((one) => one.bytes.equals(bytes))
    if (known !== undefined) return { schema: known }
    const schema = { subject, version: versions.length + 1, id: ++this.#ids, type, bytes: Buffer.from(bytes) }
    versions.push(schema)
    return { schema }
  }

  #get({ subject, version }: GetSchemaRequest): GetSchemaResponse {
    return { schema: this.#find(subject, version) }
  }

  #find(subject: string, version: number): Schema {
    const versions = this.subjects.get(subject)
    if (versions === undefined) throw new Error('schema subject not found')
    const schema = versions[version - 1]
    if (schema === undefined) throw new Error('schema version not found')
    return schema
  }

  #serve<Request, Response>(handle: (request: Request) => Response) {
    return ({ request, metadata }: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
      try {
        const [token] = metadata.get('conduit-connector-token')
        if (!this.#tokens.has(String(token))) throw new Error(`${JSON.stringify(token)}: invalid token`)
        callback(null, handle(request))
      } catch (error) {
        callback({ code: status.UNKNOWN, details: (error as Error).message })
      }
    }
  }
}
