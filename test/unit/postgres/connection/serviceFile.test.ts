import { expect, test } from 'vitest'
import { readServiceText } from '../../../../src/postgres/connection/serviceFile.js'

const read = (text: string) => readServiceText(text, 'shop', 'FILE')

test('a section ends where the next begins, and of two values the first counts', () => {
  const text = '[other]\nhost=no\n[shop]\n# comment\n\n  host=a b=c  \nport=1\nport=2\n[shop]\nuser=no\n'
  expect([...read(text)!.values]).toEqual([
    ['host', 'a b=c'],
    ['port', '1'],
  ])
  expect(read('[shopping]\nhost=a')).toBeUndefined()
  expect(read('[shop]')!.values.size).toBe(0)
})

test.each<[string, string]>([
  ['[shop]\nhost', 'line 2 of service file FILE has no "="'],
  ['[a]\n[shop]\nhost =b', 'line 3 of service file FILE has a blank before its "="'],
  ['[shop]\nservice=other', 'line 2 of service file FILE names another service'],
  ['[shop]\nldap://host/', 'asks an LDAP server'],
  ['[shop]\nhots=a', 'unknown parameter "hots" of service file FILE; did you mean "host"?'],
])('%s', (text, problem) => {
  expect(() => read(text)).toThrow(problem)
})

test('beside a password nothing of it is printed', () => {
  for (const line of ['hunter', 'hunter=x', 'hunter =x', 'service=hunter', 'sslmode=hunter']) {
    try {
      const given = read(`[shop]\npassword=a\n${line}`)!
      expect(given.hidden).toBe(true)
    } catch (error) {
      expect(String(error)).not.toContain('hunter')
    }
  }
})
