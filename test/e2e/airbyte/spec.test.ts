import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { connector, connectorPath } from '../../support/airbyte/connector.js'
import { ajv } from '../../support/airbyte/protocolSchemas.js'

type Schema = Readonly<Record<string, unknown>>

const SECRET_NAMES =
  'client_token access_token api_token token secret client_secret password key service_account_info service_account tenant_id certificate jwt credentials app_id appid refresh_token'.split(
    ' ',
  )
const FORBIDDEN =
  'not anyOf patternProperties prefixItems allOf if then else dependentSchemas dependentRequired $ref'.split(' ')

/** Every schema within a schema, with the name of the property that it is of. */
function* schemasIn(schema: Schema, name = ''): Generator<{ name: string; schema: Schema }> {
  yield { name, schema }
  for (const [key, one] of Object.entries((schema.properties ?? {}) as Record<string, Schema>))
    yield* schemasIn(one, key)
  for (const one of (schema.oneOf ?? []) as Schema[]) yield* schemasIn(one, name)
  if (schema.items !== undefined) yield* schemasIn(schema.items as Schema, `${name}[]`)
}

async function specification(): Promise<Schema> {
  const run = await connector('spec')
  expect(run.code).toBe(0)
  expect(run.messages).toHaveLength(1)
  return run.messages[0]!.spec.connectionSpecification
}

test('spec is one message whose schema is of draft 7 and has no keyword that testers forbid', async () => {
  const schema = await specification()
  expect(schema.$schema).toBe('http://json-schema.org/draft-07/schema#')
  expect(() => ajv.compile(schema)).not.toThrow()
  for (const { name, schema: one } of schemasIn(schema)) {
    for (const keyword of FORBIDDEN) expect(one, `${name} has ${keyword}`).not.toHaveProperty(keyword)
    expect([undefined, true], name).toContain(one.additionalProperties)
    if (Array.isArray(one.type)) expect(one.type, name).toEqual([expect.any(String), 'null'])
    if (one.type === 'object') expect(one.properties ?? one.oneOf, name).toBeDefined()
    if (Array.isArray(one.enum)) expect(new Set(one.enum).size, name).toBe(one.enum.length)
    if (one.type === 'array') expect(['object', 'string', 'number', 'integer']).toContain((one.items as Schema).type)
  }
})

test('a choice of spec has one property in common that is a constant in each variant', async () => {
  for (const { name, schema } of schemasIn(await specification())) {
    if (schema.oneOf === undefined) continue
    expect(schema.type, name).toBe('object')
    const variants = (schema.oneOf as Schema[]).map((one) => one.properties as Record<string, Schema>)
    const common = Object.keys(variants[0]!).filter((key) => variants.every((one) => key in one))
    const constant = common.filter((key) => variants.every((one) => 'const' in one[key]!))
    expect(constant, name).toHaveLength(1)
    for (const one of variants) {
      expect(one[constant[0]!]).not.toHaveProperty('default')
      expect(one[constant[0]!]).not.toHaveProperty('enum')
    }
  }
})

test('what is secret is marked in spec, also in connection strings, and nothing else is', async () => {
  const marked: string[] = []
  for (const { name, schema } of schemasIn(await specification())) {
    if (schema.airbyte_secret === true) marked.push(name)
    const storable = ['string', 'integer', 'number', 'boolean'].includes(schema.type as string)
    if (schema.airbyte_secret === true) expect(storable, name).toBe(true)
    const named = SECRET_NAMES.includes(name) && ['string', 'integer', 'number'].includes(schema.type as string)
    if (named && !('const' in schema)) expect(schema.airbyte_secret, name).toBe(true)
  }
  expect([...new Set(marked)].sort()).toEqual([
    'ca_certificate',
    'client_certificate',
    'client_key',
    'client_key_password',
    'connectionURI',
    'password',
    'replication_url',
  ])
})

test("spec takes a configuration of Estuary's, one of Airbyte's, and keys that nobody knows", async () => {
  const validate = ajv.compile(await specification())
  const estuary = {
    connectionURI: 'postgres://flow@h/flow',
    slot_name: 's',
    publication_name: 'p',
    poll_timeout_seconds: 10,
  }
  const airbyte = {
    host: 'h',
    port: 5432,
    database: 'd',
    username: 'u',
    password: 'p',
    schemas: ['public'],
    ssl_mode: { mode: 'verify-ca', ca_certificate: 'PEM' },
    replication_method: { method: 'CDC', plugin: 'pgoutput', replication_slot: 's', publication: 'p' },
    tunnel_method: { tunnel_method: 'NO_TUNNEL' },
  }
  for (const config of [estuary, airbyte, { connectionURI: 'x', unheard_of: 1 }]) {
    expect(validate(config), ajv.errorsText(validate.errors)).toBe(true)
  }
  expect(validate({ connectionURI: 1 })).toBe(false)
})

test('without a command, or with wrong arguments, usage goes to stderr and nothing to stdout', async () => {
  for (const args of [[], ['dance'], ['read', '--config', 'x'], ['check'], ['spec', 'twice'], ['spec', '--colour']]) {
    const run = await connector('', { args })
    expect(run.code).not.toBe(0)
    expect(run.stdout).toBe('')
    expect(run.stderr).toContain('Usage: tailrace-airbyte')
  }
})

test('help is what was asked for: exit code 0', async () => {
  const run = await connector('read', { args: ['--help'] })
  expect([run.code, run.stdout]).toEqual([0, ''])
  expect(run.stderr).toMatch(/^Usage: tailrace-airbyte/)
})

test('the executable becomes node itself, so that whoever ends it ends the connector', async () => {
  expect((await readFile(connectorPath, 'utf8')).split('\n', 1)[0]).toBe('#!/usr/bin/env node')
})
