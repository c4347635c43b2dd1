import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  compileTemplate,
  isTemplate,
  type TemplateData,
  type TemplateRecord,
} from '../../../../src/homes/conduit/template/index.js'
import { RECORD } from '../../../support/templateRecord.js'

type GoResult = { readonly template: string } & (
  | { readonly output: string }
  | { readonly parse: string }
  | { readonly run: string }
)

const GO: readonly GoResult[] = readFileSync(
  new URL('../../../fixtures/goTemplates/results.jsonl', import.meta.url),
  'utf8',
)
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line))

/** What Go takes and we refuse, at Configure. */
const REFUSED = new Set(['{{ define "x" }}{{ end }}', '{{ block "x" . }}{{ end }}', '{{ "abc" | }}'])

/** What Go prints although it is a mistake: nothing, a record's parts, a verb that does not fit. */
function isMistake({ template, output }: { readonly template: string; readonly output: string }): boolean {
  return /<no value>|<nil>|%!/.test(output) && template !== '{{ print nil }}'
}

function render(template: string, record: Partial<TemplateRecord> = {}): string {
  return compileTemplate(template)({ ...RECORD, ...record })
}

function codeOf(run: () => unknown): unknown {
  try {
    run()
    return undefined
  } catch (error) {
    return (error as { code?: unknown }).code ?? error
  }
}

describe('as Go has it', () => {
  const outputs = GO.filter((one) => 'output' in one && !REFUSED.has(one.template) && !isMistake(one))
  test.each(outputs.map((one) => [one.template, (one as { output: string }).output]))('%s', (template, output) =>
    expect(render(template)).toBe(output),
  )

  const mistakes = GO.filter((one) => 'output' in one && !REFUSED.has(one.template) && isMistake(one))
  test.each(mistakes.map(({ template }) => [template]))('%s gives no text: an error, no <no value>', (template) => {
    expect(codeOf(() => render(template))).toBe('TEMPLATE_FAILED')
  })

  const unread = GO.filter((one) => 'parse' in one || REFUSED.has(one.template))
  test.each(unread.map(({ template }) => [template]))('%s cannot be read', (template) => {
    expect(codeOf(() => compileTemplate(template))).toBe('TEMPLATE_INVALID')
  })

  // what is known to fail for every record is found at once
  const failing = GO.filter((one) => 'run' in one)
  test.each(failing.map(({ template }) => [template]))('%s fails', (template) => {
    expect(codeOf(() => render(template))).toMatch(/^TEMPLATE_(INVALID|FAILED)$/)
  })

  test('all of them, many of each kind', () => {
    expect(outputs.length).toBeGreaterThan(200)
    expect(mistakes.length).toBeGreaterThan(10)
    expect(unread.length).toBeGreaterThan(40)
    expect(failing.length).toBeGreaterThan(15)
  })
})

describe('a mistake is told with its place', () => {
  test.each([
    ['{{ nope }}', 'column 4: there is no function nope here'],
    ['{{ uper "a" }}', 'column 4: there is no function uper here: did you mean upper?'],
    ['{{ .Metdata }}', 'column 4: a record has no field Metdata, but .Metadata, .Key, .Payload, .Operation, .Position'],
    ['{{ if .Key }}{{ $.Payload.Afer }}{{ end }}', 'column 17: Payload has no field Afer, but .Before, .After'],
    ['é😀{{ nope }}', 'column 6: there is no function nope here'],
    ['a\n  {{ nope }}', 'line 2, column 6: there is no function nope here'],
    ['{{ upper "a" "b" }}', 'column 4: upper takes 1 argument and has 2'],
    ['{{ "a" | replace "b" }}', 'column 10: replace takes 3 arguments and has 2'],
    ['{{ default }}', 'column 4: default takes 1 to 2 arguments and has 0'],
    ['{{ eq 1 }}', 'column 4: eq takes at least 2 arguments and has 1'],
    ['{{ upper lower }}', 'column 10: lower takes arguments: put it in ( )'],
    ['{{ "a" | "b" }}', 'column 10: what follows | must be a function'],
    ['{{ .Key.id 3 }}', 'column 12: only a function takes arguments'],
    ['{{ $x }}', 'column 4: there is no variable $x'],
    ['{{ if true }}a', 'column 1: {{if}} has no {{end}}'],
    ['a{{ end }}', 'column 5: {{end}} has nothing that it belongs to'],
    ['{{ if true }}{{ else }}{{ else }}{{ end }}', 'column 27: an {{else}} follows another'],
    ['{{ template "x" }}', 'column 4: template is not supported'],
    ['{{ break }}', 'column 4: break stands outside of a range'],
    ['{{ .Key', 'column 1: an action is not closed: }} is missing'],
    ['{{ "a }}', 'column 4: a text is not closed'],
    ['{{ }}', 'column 4: something is missing before }}'],
    ['{{ # }}', 'column 4: "#" has no meaning here'],
    ['{{ ) }}', 'column 4: ")" was not expected'],
    ['{{ "\\q" }}', 'column 4: a text has an escape that Go does not know'],
    ["{{ 'ab' }}", 'column 4: a character constant has not one character'],
    ['{{ 1x }}', 'column 4: this is no number'],
    ['{{/* x }}', 'column 1: a comment is not closed: */ is missing'],
    ['{{ $ := 1 }}', 'column 4: $ alone cannot be set'],
    [`${'{{ if true }}'.repeat(101)}${'{{ end }}'.repeat(101)}`, 'column 1301: it is nested too deeply'],
  ])('%s', (template, problem) => {
    expect(() => compileTemplate(template)).toThrow(`the template cannot be read, ${problem}`)
  })

  test('and so is a record that it does not fit', () => {
    expect(() => render('x{{ .Metadata.missing }}')).toThrow(
      'the template gives nothing for a record, column 5: there is no value',
    )
    expect(() => render('{{ .Key.id }}', { key: Buffer.from('secret') })).toThrow(
      'column 4: id is asked of raw data, which was not decoded',
    )
    expect(() => render('{{ upper .Key.id }}')).toThrow('column 4: upper: it takes a text, and gets a number')
    expect(() => render('{{ with .Key }}{{ .region.x }}{{ end }}')).toThrow('column 19: x is asked of a text')
    expect(() => render('{{ repeat 1000000000 "x" }}')).toThrow(
      'repeat: the result would have more than 1000000 characters',
    )
    expect(() => render('{{ regexMatch "(" "x" }}')).toThrow('regexMatch: the regular expression is none')
    expect(() => render('{{ . }}')).toThrow('column 4: a whole record is no text')
  })

  test('without any value of the record', () => {
    for (const template of [
      '{{ upper .Key }}',
      '{{ .Key.secret.x }}',
      '{{ lt .Key.secret 1 }}',
      '{{ div 1 .Key.secret }}',
      '{{ printf "%d" .Key.secret }}',
      '{{ range .Key.secret }}{{ end }}',
      '{{ index .Key.secret "hunter2" }}',
    ]) {
      expect(() => render(template, { key: { secret: 'hunter2' } })).toThrow(
        expect.objectContaining({ code: 'TEMPLATE_FAILED', message: expect.not.stringContaining('hunter2') }),
      )
    }
  })
})

describe('records', () => {
  test('of every operation', () => {
    const template = compileTemplate(
      '{{ .Operation }}{{ if eq .Operation "delete" }}!{{ end }}{{ if eq .Operation 4 }}?{{ end }}',
    )
    const run = (operation: TemplateRecord['operation']) => template({ ...RECORD, operation })
    expect((['create', 'update', 'delete', 'snapshot'] as const).map(run)).toStrictEqual([
      'create',
      'update',
      'delete!',
      'snapshot?',
    ])
  })

  test('without a row before, or a key', () => {
    const template = '{{ if .Payload.Before.id }}b{{ else }}-{{ end }}{{ with .Key }}k{{ else }}-{{ end }}'
    expect(render(template, { key: undefined })).toBe('--')
  })

  test('with integers beyond 2^53', () => {
    const key: TemplateData = { id: 9007199254740993n }
    expect(
      render('{{ .Key.id }} {{ mod .Key.id 10 }} {{ gt .Key.id 5 }} {{ add .Key.id 1 }} {{ printf "%d" .Key.id }}', {
        key,
      }),
    ).toBe('9007199254740993 3 true 9007199254740994 9007199254740993')
  })

  test('names of prototypes are names like any other', () => {
    const names = ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf']
    for (const name of names) {
      for (const access of [
        `.Key.${name}`,
        `.Metadata.${name}`,
        `index .Key "${name}"`,
        `(dict "a" 1).${name}`,
        `.Payload.After.nested.${name}`,
      ]) {
        expect(render(`{{ if ${access} }}found{{ else }}none{{ end }}`, { metadata: {} }), access).toBe('none')
      }
      expect(codeOf(() => compileTemplate(`{{ ${name} }}`))).toBe('TEMPLATE_INVALID')
      expect(codeOf(() => compileTemplate(`{{ .${name} }}`))).toBe('TEMPLATE_INVALID')
      const own = JSON.parse(`{"${name}":"own"}`)
      expect(render(`{{ .Key.${name} }}{{ index .Key "${name}" }}{{ hasKey .Key "${name}" }}`, { key: own })).toBe(
        'ownowntrue',
      )
      expect(render(`{{ (dict "${name}" "d").${name} }}`)).toBe('d')
      expect(render(`{{ $${name} := 1 }}{{ $${name} }}`)).toBe('1')
    }
    expect(Object.prototype).not.toHaveProperty('a')
  })
})

test('what a template is', () => {
  expect(isTemplate('orders')).toBe(false)
  expect(isTemplate('shop.orders')).toBe(false)
  expect(isTemplate('{{ .Key.id }}')).toBe(true)
  expect(isTemplate('copy_{{ index .Metadata "opencdc.collection" }}')).toBe(true)
})

test('any text is a template or refused, and never anything else', () => {
  const piece = fc.constantFrom(
    ...[
      '{{',
      '}}',
      '{{-',
      '-}}',
      ' ',
      '.',
      '$',
      '$x',
      ':=',
      '|',
      '(',
      ')',
      '"',
      '`',
      "'",
      'a',
      '1',
      '-',
      ',',
      '\n',
      '/*',
      '*/',
    ],
    ...[
      'if ',
      'else',
      'end',
      'range ',
      'with ',
      'upper ',
      'index ',
      '.Key',
      '.Metadata',
      'nil',
      'true',
      '\\x41',
      'é',
      '0x',
      '1e',
    ],
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      expect([undefined, 'TEMPLATE_INVALID', 'TEMPLATE_FAILED']).toContain(codeOf(() => render(pieces.join(''))))
    }),
    { numRuns: 5000 },
  )
})
