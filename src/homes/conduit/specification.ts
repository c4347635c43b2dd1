import { type Parameter, Parameter_Type, Validation_Type } from './proto/config/v1/parameter.js'
import type { Specification } from './proto/connector/v2/specifier.js'
import { conduitDestinationSettings } from './settings/destinationSettings.js'
import { parametersOf } from './settings/parameters.js'
import { conduitSourceSettings } from './settings/sourceSettings.js'
import { PLUGIN_VERSION } from './version.js'

const NAME = 'tailrace'
const SUMMARY =
  'PostgreSQL change data capture: the rows of tables, then every change after them; and tables that follow them.'
const DESCRIPTION =
  "As a source, reads the rows of chosen tables in a consistent snapshot and every change after it by logical replication (or by polling, for servers without it), and goes on exactly where it stopped. As a destination, writes records into tables by their keys, a batch in one transaction. It takes the settings of Conduit's own Postgres connector. See docs/conduit.md."
const AUTHOR = 'The Tailrace authors'

/** What Conduit is told of this plugin. */
export function specification(): Specification {
  return {
    name: NAME,
    summary: SUMMARY,
    description: DESCRIPTION,
    version: PLUGIN_VERSION,
    author: AUTHOR,
    destinationParams: parametersOf(conduitDestinationSettings),
    sourceParams: parametersOf(conduitSourceSettings),
  }
}

/** The same as the connector.yaml that Conduit's registry reads. */
export function connectorYaml(): string {
  const { sourceParams, destinationParams, ...about } = specification()
  const { name, summary, description, version, author } = about
  const source = { parameters: listInYaml(sourceParams) }
  const destination = { parameters: listInYaml(destinationParams) }
  return yamlOf({
    version: '1.0',
    specification: { name, summary, description, version, author, source, destination },
  })
}

function listInYaml(parameters: Readonly<Record<string, Parameter>>): object[] {
  return Object.entries(parameters).map(([name, parameter]) => ({ name, ...inYaml(parameter) }))
}

const TYPES = new Map<number, string>([
  [Parameter_Type.TYPE_STRING, 'string'],
  [Parameter_Type.TYPE_INT, 'int'],
  [Parameter_Type.TYPE_FLOAT, 'float'],
  [Parameter_Type.TYPE_BOOL, 'bool'],
  [Parameter_Type.TYPE_DURATION, 'duration'],
])

const VALIDATIONS = new Map<number, string>([
  [Validation_Type.TYPE_REQUIRED, 'required'],
  [Validation_Type.TYPE_GREATER_THAN, 'greater-than'],
  [Validation_Type.TYPE_LESS_THAN, 'less-than'],
  [Validation_Type.TYPE_INCLUSION, 'inclusion'],
  [Validation_Type.TYPE_REGEX, 'regex'],
])

function inYaml({ description, type, default: value, validations }: Parameter): object {
  return {
    description,
    type: TYPES.get(type),
    default: value,
    validations: validations.map(({ type, value }) => ({ type: VALIDATIONS.get(type), value })),
  }
}

/** By hand: the parser that comes with a library for YAML would be loaded at every start. Texts are quoted as in JSON, which is YAML. */
function yamlOf(value: object, indent = ''): string {
  const lines = Object.entries(value).map(([name, of]) => {
    if (of === undefined) return ''
    if (!Array.isArray(of))
      return typeof of === 'object'
        ? `${indent}${name}:\n${yamlOf(of, `${indent}  `)}`
        : `${indent}${name}: ${JSON.stringify(of)}\n`
    if (of.length === 0) return `${indent}${name}: []\n`
    const items = of.map((item: object) => `${indent}  - ${yamlOf(item, `${indent}    `).trimStart()}`)
    return `${indent}${name}:\n${items.join('')}`
  })
  return lines.join('')
}
