/** The value of one series of Prometheus's text format; undefined: there is none. All labels must be given. */
export function samplesOf(
  text: string,
): (name: string, labels: Readonly<Record<string, string>>) => number | undefined {
  const values = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [, name, labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (name !== undefined) values.set(keyOf(name, labels.match(/\w+="[^"]*"/g) ?? []), Number(value))
  }
  return (name, labels) =>
    values.get(
      keyOf(
        name,
        Object.entries(labels).map(([key, value]) => `${key}="${value}"`),
      ),
    )
}

function keyOf(name: string, labels: readonly string[]): string {
  return `${name}{${[...labels].sort().join()}}`
}
