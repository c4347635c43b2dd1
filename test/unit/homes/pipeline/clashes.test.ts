import { expect, test } from 'vitest'
import { refuseClashes } from '../../../../src/homes/pipeline/config/clashes.js'
import { parsePipeline } from '../../../../src/homes/pipeline/config/pipelineConfig.js'

const PASSWORD = 'hunter2'

function pipeline(file: string, more: Readonly<Record<string, string>> = {}) {
  const {
    url = `postgres://app:${PASSWORD}@db/shop`,
    slot = file,
    state = `${file}.state`,
    name = file,
    sink = `type: file, path: ${file}.out`,
  } = more
  const text = `name: ${name}\nstate: ${state}\nsource: {url: "${url}", tables: orders, slot: ${slot}}\nsinks: {out: {${sink}}}\n`
  const path = `/pipelines/${file}.yaml`
  return { path, config: parsePipeline(path, text, {}) }
}

test('pipelines that share nothing go together, also of one server and with one publication', () => {
  refuseClashes([pipeline('a'), pipeline('b'), pipeline('c', { url: 'postgres://app@other/shop', slot: 'a' })])
})

test.each<[string, Readonly<Record<string, string>>, string]>([
  ['name', { name: 'a' }, 'name, a'],
  ['state file', { state: '/pipelines/a.state' }, 'file, /pipelines/a.state'],
  ['slot', { slot: 'a' }, 'slot, a'],
  ['slot, through another host of the list', { slot: 'a', url: 'postgres://app@first,db/shop' }, 'slot, a'],
  ['output', { sink: 'type: file, path: a.out' }, 'output, that of the sink out'],
  ['output that is the other one’s state', { sink: 'type: file, path: a.state' }, 'output, that of the sink out'],
])('of two with the same %s nothing is started', (_, more, both) => {
  const clash = () => refuseClashes([pipeline('a'), pipeline('b', more)])
  expect(clash).toThrow(`/pipelines/a.yaml and /pipelines/b.yaml have the same ${both}`)
})

test('two that write to standard output, or under one name into one database, are told without its password', () => {
  expect(() => refuseClashes(['a', 'b'].map((file) => pipeline(file, { sink: 'type: stdout' })))).toThrow('output')
  const sink = `type: postgres, source: same, url: "postgres://app:${PASSWORD}@dw/shop"`
  const clash = () => refuseClashes(['a', 'b'].map((file) => pipeline(file, { sink })))
  expect(clash).toThrow('output, that of the sink out')
  expect(clash).not.toThrow(PASSWORD)
})
