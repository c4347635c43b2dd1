import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/** A machine as busy as this before we begin gives no figures to lean on. */
export const BUSY_LOAD = 0.8

/** The server notices a client that is gone when it next writes to it. */
const SESSIONS_END_WITHIN_MS = 30_000

const linux = existsSync('/proc/self/stat')
const ticks = linux ? Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' })) : Number.NaN

export function describeMachine() {
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${memory} GB, Node ${process.version}`
}

export function load() {
  return loadavg()[0]
}

/** CPU seconds of a process, and of its children that have ended; NaN where there is no /proc. */
export function cpuOf(pid) {
  if (!linux) return { own: Number.NaN, children: Number.NaN }
  // the name, in parentheses, may hold blanks; utime, stime, cutime, cstime are fields 14 to 17
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [user, system, childUser, childSystem] = fields.slice(11, 15).map((field) => Number(field) / ticks)
  return { own: user + system, children: childUser + childSystem }
}

/** The most memory a process has held until now, in MB. */
export function peakRssOf(pid) {
  const text = linux ? readFileSync(`/proc/${pid}/status`, 'latin1') : ''
  return Number(text.match(/VmHWM:\s+(\d+) kB/)?.[1] ?? Number.NaN) / 1024
}

/** CPU seconds that the whole machine has spent, also those that its host gave to others. */
function cpuOfMachine() {
  if (!linux) return Number.NaN
  const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'latin1')
    .slice(3, 200)
    .trim()
    .split(/\s+/)
    .map((field) => Number(field) / ticks)
  return user + nice + system + irq + softirq + steal
}

/**
 * Server processes begin and end with the sessions they serve: what those that ended meanwhile spent is what a
 * contestant cost the server. Read from the postmaster, so nothing of a short session is missed.
 */
export class CpuWatch {
  #postmasters
  #sessions
  #server
  #machine
  #bench
  #started

  /** Of one server, or of several that are one to the contestant. */
  constructor(...postmasters) {
    this.#postmasters = postmasters
    this.#sessions = sum(postmasters, (pid) => childrenOf(pid).size)
    this.#server = sum(postmasters, (pid) => cpuOf(pid).children)
    this.#machine = cpuOfMachine()
    this.#bench = process.cpuUsage()
    this.#started = performance.now()
  }

  /** After the contestant has ended, when its sessions have, too. `client`: its CPU seconds. */
  async stop(client) {
    const { user, system } = process.cpuUsage(this.#bench)
    const seconds = (performance.now() - this.#started) / 1000
    const machine = cpuOfMachine() - this.#machine
    const deadline = performance.now() + SESSIONS_END_WITHIN_MS
    while (linux && sum(this.#postmasters, (pid) => childrenOf(pid).size) > this.#sessions) {
      if (performance.now() > deadline) throw new Error('a session of the contestant outlives it')
      await sleep(5)
    }
    const server = sum(this.#postmasters, (pid) => cpuOf(pid).children) - this.#server
    const others = Math.max(0, machine - server - client - (user + system) / 1e6) / seconds
    return { server, others }
  }
}

function sum(pids, of) {
  return pids.reduce((total, pid) => total + of(pid), 0)
}

function childrenOf(pid) {
  const file = `/proc/${pid}/task/${pid}/children`
  if (existsSync(file)) return new Set(readFileSync(file, 'latin1').trim().split(' ').filter(Boolean))
  if (!linux) return new Set()
  // a kernel without that file
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
  return new Set(children)
}

function parentOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined // ended meanwhile
  }
}
