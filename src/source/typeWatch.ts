import { TYPE_ALTERED, TYPE_SHAPE_DIFFERS, TYPE_UNKNOWN } from '../core/warnings.js'
import { type CompositeType, nameOf, type TypeCatalog } from '../postgres/catalog/types.js'
import type { SourceEvent } from './events.js'
import type { ShapeRegistry } from './shapeRegistry.js'
import type { CompilerOptions } from './streamedTable.js'

const LOOK_MS = 5000

/**
 * Watches the composite types of the captured columns while the stream runs: ALTER TYPE sends nothing, and rows would
 * go on in the old shape, with the new values under the old names. The catalog is asked every few seconds, if there are
 * composites at all, and at once when a value does not fit.
 */
export class TypeWatch {
  readonly #types: TypeCatalog
  readonly #codecs: CompilerOptions['codecs']
  readonly #shapes: ShapeRegistry
  readonly #emit: (event: SourceEvent) => void
  readonly #timer: NodeJS.Timeout
  #looking: Promise<void> | undefined
  #stopped = false

  constructor({ types, codecs }: CompilerOptions, shapes: ShapeRegistry, emit: (event: SourceEvent) => void) {
    this.#types = types
    this.#codecs = codecs
    this.#shapes = shapes
    this.#emit = emit
    this.#timer = setInterval(() => void this.look(), LOOK_MS)
    codecs.onShapeMismatch = (type) => this.#onMismatch(type)
    this.#tellUnknown()
  }

  stop(): void {
    this.#stopped = true
    clearInterval(this.#timer)
    this.#codecs.onShapeMismatch = undefined
  }

  /** Never rejects: what cannot be asked now is asked at the next look. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #look(): Promise<void> {
    try {
      const stale = await this.#types.refresh()
      if (this.#stopped) return
      if (stale.size > 0) {
        this.#shapes.recompile(stale)
        this.#tellAltered(stale)
      }
      this.#tellUnknown()
    } catch {
      // The stream itself tells when the server is gone.
    }
  }

  #onMismatch(type: CompositeType): void {
    this.#emit(TYPE_SHAPE_DIFFERS({ type: nameOf(type) }))
    void this.look()
  }

  #tellAltered(stale: ReadonlySet<number>): void {
    const composites = [...stale].map((oid) => this.#types.get(oid)!).filter(({ kind }) => kind === 'composite')
    const names = [...new Set(composites.map(nameOf))]
    this.#emit(TYPE_ALTERED({ types: names.join(', '), seconds: LOOK_MS / 1000 }))
  }

  #tellUnknown(): void {
    const unknown = this.#types.takeUnknown()
    if (unknown.length === 0) return
    this.#emit(TYPE_UNKNOWN({ oids: unknown.join(', ') }))
  }
}
