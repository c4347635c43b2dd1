import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cpuOf, peakRssOf } from './machine.mjs'

const TIME = '/usr/bin/time'
const POLL_MS = 10
const STDERR_CHARACTERS = 4000

const exact = hasGnuTime()
const folder = mkdtempSync(join(tmpdir(), 'tailrace-bench-'))
const devNull = openSync('/dev/null', 'w')
const running = new Set()

/** Without what has every Node read and parse certificates at its start (40 ms), where a machine has that set: nobody here needs them. */
const { NODE_EXTRA_CA_CERTS: _, ...ENVIRONMENT } = process.env
process.on('exit', () => {
  for (const one of running) one.signal('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/**
 * A contestant as a whole process, measured from its start to its end. CPU time and peak memory come from GNU time,
 * which gets them from the kernel when the process has ended; without it they are polled, and a little of the end is
 * missed.
 */
export class ContestantProcess {
  #child
  #started = performance.now()
  #stderr = ''
  #usageFile = join(folder, `usage-${Math.random().toString(36).slice(2)}`)
  #polled = { cpu: Number.NaN, rss: Number.NaN }
  #stopped = false
  #exitCodes

  #exact

  /**
   * `output`: `null` is /dev/null, `pipe` gives `stdout`. `direct`: our own child, which can be killed and reaped.
   * `exitCodes`: how it ends when it has not failed.
   */
  constructor({ command, args, environment = {}, output = 'null', direct = false, exitCodes = [0] }) {
    this.#exitCodes = exitCodes
    this.#exact = exact && !direct
    const [file, ...rest] = this.#exact
      ? [TIME, '-o', this.#usageFile, '-f', '%U %S %M', command, ...args]
      : [command, ...args]
    this.#child = spawn(file, rest, {
      stdio: ['ignore', output === 'pipe' ? 'pipe' : devNull, 'pipe'],
      env: { ...ENVIRONMENT, ...environment },
      detached: true, // a group of its own, so that a signal reaches it past GNU time
    })
    running.add(this)
    this.#child.stderr.setEncoding('utf8').on('data', (text) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARACTERS)
    })
    if (!this.#exact) this.#poll()
  }

  get stdout() {
    return this.#child.stdout
  }

  get stderr() {
    return this.#child.stderr
  }

  /** Asks it to end; its exit code does not matter then. */
  stop() {
    this.#stopped = true
    this.signal('SIGINT')
  }

  /** Ends it as a crash does: it has no figures then. False: it had ended before. */
  async kill() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return false
    const exited = once(this.#child, 'exit')
    this.signal('SIGKILL')
    await exited
    running.delete(this)
    return true
  }

  signal(name) {
    try {
      process.kill(-this.#child.pid, name)
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }

  /** Wall seconds, CPU seconds and peak memory in MB, when it has ended; rejects when it failed or took too long. */
  async finished(limitSeconds) {
    const limit = setTimeout(() => this.signal('SIGKILL'), limitSeconds * 1000)
    const [code, signal] = await once(this.#child, 'exit')
    const wall = (performance.now() - this.#started) / 1000
    clearTimeout(limit)
    running.delete(this)
    if (!this.#exitCodes.includes(code) && !this.#stopped)
      throw new Error(`${this.#how(code, signal)}\n${this.#stderr}`)
    return { wall, ...(this.#exact ? this.#usage() : this.#polled) }
  }

  #how(code, signal) {
    return `${this.#child.spawnargs.join(' ')} ended with ${signal ?? `exit code ${code}`}`
  }

  #usage() {
    const [user, system, rss] = readFileSync(this.#usageFile, 'utf8').trim().split('\n').at(-1).split(' ').map(Number)
    return { cpu: user + system, rss: rss / 1024 }
  }

  #poll() {
    const { pid } = this.#child
    const timer = setInterval(() => {
      try {
        this.#polled = { cpu: cpuOf(pid).own, rss: peakRssOf(pid) }
      } catch {
        clearInterval(timer) // it has ended
      }
    }, POLL_MS)
    this.#child.once('exit', () => clearInterval(timer))
  }
}

function hasGnuTime() {
  try {
    execFileSync(TIME, ['-o', '/dev/null', '-f', '%M', 'true'])
    return true
  } catch {
    return false
  }
}
