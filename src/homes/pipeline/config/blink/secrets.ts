import { readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { ConfigMap, ConfigNode } from '../configTree.js'
import type { Environment } from '../environment.js'
import type { FilePlace } from '../pipelineConfig.js'
import type { SettingsReader } from '../settingsReader.js'
import { secretStorages, secretsSettings } from './settings.js'

const REFERENCE = /#\{secret\.([^}]{0,300})\}/g
const NAME = /^[A-Za-z0-9_.-]+$/
/** More is no secret, but a file named by mistake. */
const MAX_BYTES = 64 * 1024

/** Gives a secret, or throws what is wrong: never with a value. */
type Storage = (name: string) => string

/** The file with a value for each `#{secret.NAME}`, and what stands under `secrets` left as it is. */
export function withSecrets(reader: SettingsReader, file: ConfigMap, place: FilePlace): ConfigMap {
  const entry = file.entries.find(({ key }) => key === 'secrets')
  const before = reader.problems.length
  const storage = entry && readStorage(reader, reader.map(entry.value, entry.keyPlace, 'secrets'), place)
  const isWrong = reader.problems.length > before
  const lookUp = (name: string): string => {
    if (storage === undefined) throw new Error('there is no secrets with a storage_type: environment or file')
    if (!NAME.test(name)) throw new Error('names of secrets have letters, digits, "_", "-" and "."')
    return storage(name)
  }
  const fill = (node: ConfigNode, path: string): ConfigNode => {
    if (node.kind === 'list') return { ...node, items: node.items.map((item, i) => fill(item, `${path}[${i}]`)) }
    if (node.kind === 'map') {
      return { ...node, entries: node.entries.map((one) => ({ ...one, value: fill(one.value, `${path}.${one.key}`) })) }
    }
    const { text, problems } = fillIn(node.secret?.text ?? node.value, lookUp)
    if (text === undefined) return node
    // Where the storage itself is wrong nothing more can be said of what it holds.
    if (!isWrong) for (const problem of problems) reader.problem(node.place, path, problem)
    if (problems.length > 0) return { kind: 'scalar', place: node.place, value: null, broken: true }
    return { kind: 'scalar', place: node.place, value: text, secret: { text } }
  }
  const entries = file.entries.map((one) => (one === entry ? one : { ...one, value: fill(one.value, one.key) }))
  return { ...file, entries }
}

/** `text` undefined: no secret stands there. */
function fillIn(value: unknown, lookUp: Storage): { readonly text?: string; readonly problems: readonly string[] } {
  if (typeof value !== 'string' || !value.includes('#{secret.')) return { problems: [] }
  const problems: string[] = []
  const text = value.replace(REFERENCE, (_, name: string) => {
    try {
      return lookUp(name)
    } catch (error) {
      problems.push(`the secret ${name}: ${(error as Error).message}`)
      return ''
    }
  })
  return { text, problems }
}

function readStorage(
  reader: SettingsReader,
  map: ConfigMap | undefined,
  { folder, environment }: FilePlace,
): Storage | undefined {
  if (map === undefined) return undefined
  const { storageType } = reader.settings(map, secretsSettings, 'secrets', ['config'])
  if (storageType === undefined) return undefined
  const type = storageType as keyof typeof secretStorages
  const entry = map.entries.find(({ key }) => key === 'config')
  const isEmpty = entry === undefined || (entry.value.kind === 'scalar' && entry.value.value === null)
  const config = isEmpty ? { ...map, entries: [] } : reader.map(entry.value, entry.keyPlace, 'secrets.config')
  if (config === undefined) return undefined
  const values = reader.settings(config, secretStorages[type], 'secrets.config') as Record<string, string | undefined>
  if (type === 'environment') return ofEnvironment(environment, values.prefix ?? '')
  return ofFolder(resolve(folder, values.folder ?? secretStorages.file.folder.parse(undefined)))
}

function ofEnvironment(environment: Environment, prefix: string): Storage {
  return (name) => {
    const value = environment[prefix + name]
    if (value === undefined) throw new Error(`the variable ${prefix}${name} is not set`)
    return value
  }
}

function ofFolder(folder: string): Storage {
  return (name) => {
    const path = join(folder, name)
    if (dirname(path) !== folder) throw new Error('it is no file of the folder')
    const { size } = statSync(path)
    if (size > MAX_BYTES) throw new Error(`${path} has ${size} bytes, which is more than a secret has`)
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  }
}
