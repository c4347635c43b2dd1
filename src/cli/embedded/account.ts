import { chown, mkdir } from 'node:fs/promises'

/** The user that owns the server's files and runs its programs; `undefined` means: whoever we are. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/** The number that Linux and the BSDs keep for "nobody": it needs no entry in /etc/passwd, so no user has to be made. */
const NOBODY: Account = { uid: 65534, gid: 65534 }

/** Postgres refuses to run as root; everybody else runs it as himself. */
export function serverAccount(): Account | undefined {
  return process.getuid?.() === 0 ? NOBODY : undefined
}

export async function makeOwned(folder: string, mode: number, account: Account | undefined): Promise<void> {
  await mkdir(folder, { mode })
  if (account !== undefined) await chown(folder, account.uid, account.gid)
}
