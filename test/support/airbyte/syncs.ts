import { readConfig } from '../../../src/homes/airbyte/config/readConfig.js'
import { discover } from '../../../src/homes/airbyte/discover/discover.js'
import type { Message } from '../../../src/homes/airbyte/protocol/messages.js'
import type { StateMessage } from './connector.js'

export const STATE_TYPES = ['stream', 'global', 'legacy'] as const

const CHOSEN = process.env.TAILRACE_AIRBYTE_STATES

/** Where each takes as long again: one of them in `npm test`, all with TAILRACE_AIRBYTE_STATES=all. */
export function stateTypesOf(usual: (typeof STATE_TYPES)[number]): readonly (typeof STATE_TYPES)[number][] {
  return CHOSEN === 'all' ? STATE_TYPES : [usual]
}

export interface DiscoveredStream {
  readonly name: string
  readonly namespace: string
  readonly json_schema: { readonly properties: Readonly<Record<string, object>> }
  readonly supported_sync_modes: readonly string[]
  readonly default_cursor_field?: readonly string[]
  readonly source_defined_primary_key?: readonly (readonly string[])[]
}

/** What `discover` says, without a process of its own: what that is, discover.test.ts shows. */
export async function discovered(config: object): Promise<DiscoveredStream[]> {
  const messages: Message[] = []
  await discover(readConfig(config), { send: (...sent) => messages.push(...sent), log: () => {} })
  const { catalog } = messages.find(({ type }) => type === 'CATALOG') as unknown as {
    readonly catalog: { readonly streams: DiscoveredStream[] }
  }
  return JSON.parse(JSON.stringify(catalog.streams))
}

/** As clients make it of what was discovered. */
export function configured(streams: readonly DiscoveredStream[], sync_mode = 'incremental') {
  return {
    streams: streams.map((stream) => ({
      stream,
      sync_mode,
      destination_sync_mode: 'append',
      cursor_field: stream.default_cursor_field,
      primary_key: stream.source_defined_primary_key,
    })),
  }
}

/** What a client that stores states has of these messages: of each stream the last, or the last of all. */
export function foldedStates(states: readonly StateMessage[]): readonly object[] {
  const last = states.at(-1)
  if (last === undefined) return []
  if (last.type !== 'STREAM') return [last]
  const byStream = new Map(states.map((state) => [JSON.stringify(state.stream!.stream_descriptor), state]))
  return [...byStream.values()]
}
