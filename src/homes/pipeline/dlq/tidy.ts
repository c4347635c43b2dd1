import { rm } from 'node:fs/promises'
import { OUTPUT_LOCKED, STATE_LOCKED } from '../../../core/errors.js'
import { StateLock } from '../../../sinks/files/stateLock.js'
import type { PipelineConfig } from '../config/pipelineConfig.js'
import { DoneFile } from './doneFile.js'
import { FileBox } from './fileBox.js'

/** Takes files away whose letters are all done with; not while a run may add to them. */
export async function removeIfEmpty({ statePath, sinks }: PipelineConfig): Promise<void> {
  const files = sinks.flatMap(({ name, letters: { place, own } }) =>
    place.kind === 'file' && own === undefined ? [{ name, path: place.path }] : [],
  )
  if (files.length === 0) return
  try {
    await using lock = await StateLock.take(statePath)
    void lock
    for (const { name, path } of files) {
      await using box = new FileBox(name, path, undefined)
      let isEmpty = true
      for await (const _ of box.letters({ limit: 1 })) isEmpty = false
      if (!isEmpty) continue
      // In this order: what is left by somebody who is killed says nothing of a file that comes after it.
      await rm(path, { force: true })
      await new DoneFile(path).remove()
    }
  } catch (error) {
    if (!STATE_LOCKED.is(error) && !OUTPUT_LOCKED.is(error)) throw error
  }
}
