import { conduitSourceSettings } from '../../../../src/homes/conduit/settings/sourceSettings.js'
import { type Bench, type Check, expect, expectEqual, newPipeline, sourceSettings } from '../check.js'

interface Parameter {
  readonly type: string
  readonly default: string
  readonly description: string
}

/** The rules of Conduit's SDK for a specification. */
const SOURCE_NAME = /^[a-zA-Z0-9.*]+$/
const DESTINATION_NAME = /^[a-zA-Z0-9.]+$/
const VERSION = /^v\d+(\.\d+){0,2}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/

export const listed: Check = {
  name: 'listed, with all parameters',
  async run(bench: Bench) {
    await using pipeline = newPipeline(bench, {})
    const answer = await pipeline.command('specify')
    expectEqual(answer.event, 'specification', 'the answer')
    for (const part of ['name', 'version', 'summary', 'description', 'author']) {
      expect(typeof answer[part] === 'string' && answer[part] !== '', `${part} is empty`)
    }
    expect(VERSION.test(answer.version as string), `version ${answer.version} is none`)
    const source = answer.source as Record<string, Parameter>
    const destination = answer.destination as Record<string, Parameter>
    expectEqual(Object.keys(source).sort(), Object.keys(conduitSourceSettings).sort(), 'the list of the source')
    for (const name of ['url', 'table', 'sdk.batch.size', 'sdk.batch.delay', 'sdk.rate.perSecond', 'sdk.rate.burst']) {
      expect(name in destination, `the destination has no ${name}`)
    }
    for (const [of, pattern] of [
      [source, SOURCE_NAME],
      [destination, DESTINATION_NAME],
    ] as const) {
      for (const [name, one] of Object.entries(of)) {
        expect(pattern.test(name), `${name} is no name of a parameter`)
        expect(one.description !== '', `${name} has no description`)
        expect(one.type !== '' && !one.type.includes('('), `${name} has type ${one.type}`)
      }
    }
    return `${answer.name} ${answer.version}: ${Object.keys(source).length} of the source, ${Object.keys(destination).length} of the destination`
  },
}

export const validated: Check = {
  name: 'settings are checked before a pipeline is made',
  async run(bench: Bench) {
    const settings = sourceSettings(bench.source.url(), 'orders')
    await using good = newPipeline(bench, { source: settings, destination: { url: bench.target.url() } })
    expectEqual((await good.command('validate')).event, 'valid', 'good settings')
    await using bad = newPipeline(bench, { source: { ...settings, snapshotMod: 'initial', 'sdk.batch.size': 'many' } })
    const { error } = await bad.command('validate')
    for (const name of ['snapshotMod', 'sdk.batch.size']) {
      expect(String(error).includes(name), `${name} is not in the text: ${error}`)
    }
    await using template = newPipeline(bench, { destination: { url: bench.target.url(), table: '{{ nothing .Key }}' } })
    const refused = String((await template.command('validate')).error)
    expect(refused.includes('nothing'), `a function that is none is not refused: ${refused}`)
    return 'good ones taken, bad ones refused by name'
  },
}
