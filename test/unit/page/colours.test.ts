import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

const GROUNDS = ['ground', 'surface', 'raised']

/** The colours of each theme by name, as page/style.css declares them. */
async function themes(): Promise<readonly ReadonlyMap<string, string>[]> {
  const css = await readFile(new URL('../../../page/style.css', import.meta.url), 'utf8')
  const [light, dark] = [...css.matchAll(/:root \{([^}]*)\}/g)].map(([, block]) => {
    return [...block!.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, name, value]) => [name!, value!] as const)
  })
  return [new Map(light), new Map([...light!, ...dark!])]
}

/** As WCAG 2 has it. */
function contrast(one: string, other: string): number {
  const [a, b] = [luminance(one), luminance(other)]
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
}

function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!
}

test('text of the page stands out from what it stands on, by day and by night', async () => {
  for (const colours of await themes()) {
    const of = (name: string) => colours.get(name)!
    const pairs = [
      ...GROUNDS.flatMap((ground) => ['ink', 'muted', 'safe', 'risk', 'trouble', 'accent'].map((ink) => [ink, ground])),
      ...['safe', 'risk', 'trouble'].flatMap((level) => [level, 'ink', 'muted'].map((ink) => [ink, `${level}-tint`])),
      ['accent-ink', 'accent'],
    ] as const
    const faint = pairs.filter(([ink, ground]) => contrast(of(ink!), of(ground!)) < 4.5)
    expect(faint).toEqual([])
  }
})
