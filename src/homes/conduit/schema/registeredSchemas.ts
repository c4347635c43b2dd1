import type { SchemaReference, SchemaService } from './schemaService.js'

/** Schemas that this process has registered: each text once in each subject, whoever asks for it again. */
export class RegisteredSchemas {
  readonly #service: Pick<SchemaService, 'create'>
  readonly #references = new Map<string, Promise<SchemaReference>>()

  constructor(service: Pick<SchemaService, 'create'>) {
    this.#service = service
  }

  /** Rejects with `SCHEMA_SERVICE_UNREACHABLE` or `SCHEMA_REFUSED`; what failed is tried again when it is asked for again. */
  register(subject: string, schema: string): Promise<SchemaReference> {
    const name = JSON.stringify([subject, schema])
    const known = this.#references.get(name)
    if (known !== undefined) return known
    const reference = this.#service.create(subject, schema)
    this.#references.set(name, reference)
    reference.catch(() => this.#references.delete(name))
    return reference
  }
}
