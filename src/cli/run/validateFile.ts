import { print } from '../print.js'
import { readFiles } from './readFiles.js'

const WRONG_USAGE = 2

/** Runs `tailrace validate`; gives the exit code. */
export async function validateFile(path: string): Promise<number> {
  const found = await readFiles(path)
  if (found === undefined) return WRONG_USAGE
  for (const { path, config } of found.pipelines) {
    const sinks = config.sinks.map(({ name, type }) => (name === type ? name : `${name} (${type})`))
    await print(
      `${path} can be run: pipeline ${config.name} to ${sinks.join(', ')}; its state is ${config.statePath}\n`,
    )
  }
  return 0
}
