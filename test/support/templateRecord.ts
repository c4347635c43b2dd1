import type { TemplateRecord } from '../../src/homes/conduit/template/index.js'

/** The record over which test/fixtures/goTemplates/results.jsonl was made, see there. */
export const RECORD: TemplateRecord = {
  position: 'pos-1',
  operation: 'update',
  metadata: {
    'opencdc.collection': 'orders',
    name: "It's a  test",
    empty: '',
    n: '12',
    csv: 'a,b,c',
    uni: 'ÄÖß é',
    constructor: 'c',
  },
  key: { id: 7, region: 'eu' },
  before: undefined,
  after: {
    ...{ id: 7, name: 'Bob', big: 1e21, small: 0.00001, half: 1.5, neg: -3 },
    ...{ tags: ['x', 'y', 2], nested: { a: { b: 'deep' }, z: true }, none: null, yes: true, no: false },
  },
}
