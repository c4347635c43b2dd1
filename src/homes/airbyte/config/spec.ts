import * as z from 'zod'
import { describeSettings, factsOf, type SettingFacts } from '../../../core/setting.js'
import type { Message } from '../protocol/messages.js'
import { FOREIGN_KEYS } from './foreignKeys.js'
import { airbyteSettings } from './settings.js'

type Schema = { readonly [key: string]: unknown }

/** The SPEC message: every setting, and the keys of other connectors that are understood. */
export function specMessage(): Message {
  const properties = { ...propertiesOf(airbyteSettings), ...FOREIGN_KEYS }
  return {
    type: 'SPEC',
    spec: {
      supportsIncremental: true,
      supportsNormalization: false,
      supportsDBT: false,
      supported_destination_sync_modes: ['append', 'overwrite', 'append_dedup'],
      protocol_version: '0.2.0',
      connectionSpecification: {
        $schema: 'http://json-schema.org/draft-07/schema#',
        title: 'Tailrace Postgres Source',
        type: 'object',
        // One of connectionURI and host: `check` says so, since no key is required in all cases.
        required: [],
        additionalProperties: true,
        properties,
      },
    },
  }
}

function propertiesOf(shape: Readonly<Record<string, z.ZodType>>): Record<string, Schema> {
  const described = describeSettings(shape)
  return Object.fromEntries(
    described.map(({ name, ...facts }, order) => [name, { title: name, order, ...propertyOf(shape[name]!, facts) }]),
  )
}

function propertyOf(schema: z.ZodType, { description, unit, example, secret }: SettingFacts): Schema {
  const { $schema: _, ...found } = z.toJSONSchema(schema, { target: 'draft-7', io: 'input' }) as Schema
  const shown = plain(found, schema)
  return {
    description: unit === undefined ? description : `${description} In ${unit}.`,
    ...shown,
    ...(example !== undefined && { examples: [shown.type === 'array' ? [example] : example] }),
    ...(secret === true && { airbyte_secret: true }),
  }
}

/** In the words that platforms take: no anyOf, one type a property, a choice by a constant. */
function plain(schema: Schema, from: z.ZodType): Schema {
  const choices = (schema.anyOf ?? schema.oneOf) as readonly Schema[] | undefined
  if (choices === undefined) return schema
  const objects = choices.filter(({ type }) => type === 'object')
  // Of a text or a list the text: both are read.
  if (objects.length < choices.length) return { ...without(schema, 'anyOf', 'oneOf'), ...choices[0] }
  return { ...without(schema, 'anyOf', 'oneOf'), type: 'object', oneOf: optionsOf(from).map(variant) }
}

function optionsOf(schema: z.ZodType): readonly z.ZodObject[] {
  const { def } = schema as unknown as { readonly def: { readonly innerType?: z.ZodType } }
  if (def.innerType !== undefined) return optionsOf(def.innerType)
  return (schema as z.ZodDiscriminatedUnion<z.ZodObject[]>).options
}

function variant(schema: z.ZodObject): Schema {
  const found = z.toJSONSchema(schema, { target: 'draft-7', io: 'input' }) as Schema
  const properties = Object.entries(found.properties as Record<string, Schema>).map(([name, property]) => {
    const facts = factsOf(schema.shape[name] as z.ZodType)
    const described = { ...property, ...(facts && { description: facts.description }) }
    return [name, facts?.secret === true ? { ...described, airbyte_secret: true, multiline: true } : described]
  })
  return { title: found.title, type: 'object', required: found.required, properties: Object.fromEntries(properties) }
}

function without(schema: Schema, ...names: readonly string[]): Schema {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => !names.includes(name)))
}
