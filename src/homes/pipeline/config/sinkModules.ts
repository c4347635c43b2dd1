import { isModulePath, type LoadedSinkModule, loadSinkModule } from '../../../sinks/custom/sinkModule.js'
import type { SinkType } from '../../../sinks/sinkType.js'
import type { ConfigNode, ConfigScalar } from './configTree.js'
import type { SettingsReader } from './settingsReader.js'

/** What stands as `type`, and is the path of a module, with what was loaded from there. */
export type SinkModules = ReadonlyMap<string, LoadedSinkModule>

/** Loads the modules that stand as `type` under `sinks:`: code that is trusted as the file is. Never rejects. */
export async function loadSinkModules(node: ConfigNode | undefined, folder: string): Promise<SinkModules> {
  const loaded = new Map<string, LoadedSinkModule>()
  for (const path of new Set(pathsIn(node))) loaded.set(path, await loadSinkModule(path, folder))
  return loaded
}

/** The path of a module that stands there; undefined: it is none. */
export function modulePath(node: ConfigNode | undefined): string | undefined {
  if (node?.kind !== 'scalar' || node.broken || typeof node.value !== 'string') return undefined
  return isModulePath(node.value) ? node.value : undefined
}

/** What was loaded from a path that {@link modulePath} has found; undefined, and a problem, if it cannot be used. */
export function moduleType(
  reader: SettingsReader,
  node: ConfigScalar,
  setting: string,
  modules: SinkModules,
): SinkType | undefined {
  const loaded = modules.get(String(node.value)) ?? { problem: 'it was not loaded', hint: undefined }
  if ('type' in loaded) return loaded.type
  reader.problem(node.place, setting, loaded.problem, loaded.hint)
  return undefined
}

function pathsIn(node: ConfigNode | undefined): readonly string[] {
  if (node === undefined || node.kind === 'scalar') return []
  const sinks = node.kind === 'list' ? node.items : node.entries.map(({ value }) => value)
  return sinks.flatMap((sink) => {
    const type = sink.kind === 'map' ? sink.entries.find(({ key }) => key === 'type')?.value : undefined
    return modulePath(type) ?? []
  })
}
