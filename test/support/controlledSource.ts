import { type Deferred, deferred } from '../../src/core/deferred.js'
import { EventHub, type SourceEvent } from '../../src/source/events.js'
import type { TableControl } from '../../src/source/tableControl.js'

/** Something with a source's face whose work the test does itself: each call waits until the test settles it. */
export class ControlledSource implements TableControl {
  readonly #hub = new EventHub()
  /** What was called, as `addTables orders`, in order, with its end. */
  readonly calls: { readonly call: string; readonly end: Deferred<readonly string[]> }[] = []

  events(): AsyncGenerator<SourceEvent, void, void> {
    return this.#hub.listen()
  }

  tell(event: SourceEvent): void {
    this.#hub.emit(event)
  }

  end(): void {
    this.#hub.end()
  }

  addTables(tables: string | readonly string[]): Promise<readonly string[]> {
    return this.#called(`addTables ${tables}`)
  }

  removeTables(tables: string | readonly string[]): Promise<readonly string[]> {
    return this.#called(`removeTables ${tables}`)
  }

  async resnapshot(table: string, options?: { readonly where?: string }): Promise<void> {
    await this.#called(`resnapshot ${table} ${JSON.stringify(options)}`)
  }

  #called(call: string): Promise<readonly string[]> {
    const end = deferred<readonly string[]>()
    this.calls.push({ call, end })
    return end.promise
  }
}
