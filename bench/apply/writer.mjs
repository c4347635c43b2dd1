import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { CpuWatch } from '../machine.mjs'
import { settled } from './pipeline.mjs'

/** Our destination with batches that were read before, as psql has files that were written before. */
export async function measureWriter(server, wishes) {
  const child = fork(fileURLToPath(new URL('writerProcess.mjs', import.meta.url)), {
    env: { ...process.env, BENCH_APPLY: JSON.stringify(wishes) },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const ended = once(child, 'exit')
  const told = async () => {
    const answer = await Promise.race([once(child, 'message'), ended])
    if (child.exitCode !== null) throw new Error(`the writer ended with ${answer[0] ?? answer[1]}`)
    return answer[0]
  }
  try {
    const { batches } = await told()
    await settled()
    const watch = new CpuWatch(server.pid)
    child.send('write')
    const usage = await told()
    await ended
    return { ...usage, ...(await watch.stop(usage.cpu)), batches }
  } finally {
    child.kill('SIGKILL')
  }
}
