import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { cliPath } from '../../support/cli.js'

test('the command is bundled of what tsc made', async () => {
  const bundle = await readFile(cliPath, 'utf8')
  expect(bundle).toContain('__disposeResources')
  // esbuild's own: in a loop a scope that ends well throws what one before it had failed with.
  expect(bundle).not.toContain('__callDispose')
})
