import { open, rename } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/** Replaces the file as a whole, durably: a crash at any moment leaves the old one or the new one, never a mixture. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = temporaryOf(path)
  const file = await open(temporary, 'w')
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await syncFolder(dirname(resolve(path)))
}

/** Where the new content is until it is whole; left behind by one who is killed just then. */
export function temporaryOf(path: string): string {
  return `${path}.tmp`
}

/** A new name is durable only when its folder is. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
