/**
 * Has a pipeline read nothing, until it is switched again: the server keeps what comes meanwhile, and what was read goes to the
 * sinks.
 */
export class PauseSwitch {
  #since: Date | undefined
  readonly #listeners = new Set<() => void>()

  get isOn(): boolean {
    return this.#since !== undefined
  }

  get since(): Date | undefined {
    return this.#since
  }

  /** Whether that changed anything. */
  set(on: boolean): boolean {
    if (on === this.isOn) return false
    this.#since = on ? new Date() : undefined
    for (const listener of this.#listeners) listener()
    return true
  }

  /** Gives what ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
