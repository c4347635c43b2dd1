import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const read = (path: string) => readFileSync(new URL(`../../../../${path}`, import.meta.url), 'utf8')

test("the image's labels and variables say what it is", () => {
  const image = read('Dockerfile')
  const { version } = JSON.parse(read('package.json')) as { version: string }
  expect(image).toContain(`LABEL io.airbyte.version="${version}"`)
  const [, entry] = /^ENTRYPOINT (.*)$/m.exec(image)!
  expect(image).toContain(`ENV AIRBYTE_ENTRYPOINT="${(JSON.parse(entry!) as string[]).join(' ')}"`)
})
