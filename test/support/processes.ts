import { spawn } from 'node:child_process'

export const asRoot = process.getuid?.() === 0

/** The user as whom root runs servers. */
export const NOBODY = 65534

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Whether that user can start our Node, and the script ends well. */
export function runsAsNobody(script: string): Promise<boolean> {
  const child = spawn(process.execPath, ['-e', script], { cwd: '/', stdio: 'ignore', uid: NOBODY, gid: NOBODY })
  return new Promise((resolve) => {
    child.once('error', () => resolve(false))
    child.once('exit', (code) => resolve(code === 0))
  })
}
