import { SCHEMA_SERVICE_UNREACHABLE, SCHEMA_UNKNOWN } from '../../../core/conduitErrors.js'
import type { SchemaService } from '../schema/schemaService.js'
import type { SchemaOf } from './parts.js'

/** A schema that cannot be had is asked for again after that. */
const FAILED_MS = 5000
/** An int32 in the message that asks for it. */
const MAX_VERSION = 2 ** 31 - 1

interface Failed {
  readonly error: unknown
  readonly at: number
}

/** Schemas by subject and version, each asked for once: a version never changes. */
export class SchemaTextCache {
  readonly #service: Pick<SchemaService, 'get'>
  readonly #texts = new Map<string, string | Promise<string> | Failed>()

  constructor(service: Pick<SchemaService, 'get'>) {
    this.#service = service
  }

  /** Throws `SCHEMA_UNKNOWN`; a promise rejects with nothing, and whoever asks again then hears why. */
  readonly get = ({ subject, version }: SchemaOf): string | Promise<string> => {
    const name = JSON.stringify([subject, version])
    const known = this.#texts.get(name)
    if (typeof known === 'string' || known instanceof Promise) return known
    if (known !== undefined && performance.now() - known.at < FAILED_MS) throw known.error
    const number = Number(version)
    if (!Number.isInteger(number) || number < 0 || number > MAX_VERSION) {
      throw SCHEMA_UNKNOWN({ subject, version, problem: 'that is no version' })
    }
    const asked = this.#service.get({ subject, version: number }).then(
      (text) => {
        this.#texts.set(name, text)
        return text
      },
      (error: unknown) => {
        if (SCHEMA_SERVICE_UNREACHABLE.is(error)) {
          this.#texts.delete(name)
          throw error
        }
        this.#texts.set(name, { error, at: performance.now() })
        return ''
      },
    )
    this.#texts.set(name, asked)
    return asked
  }
}
