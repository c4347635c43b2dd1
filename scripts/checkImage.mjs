// `npm run check:image`: runs the Dockerfile's own steps without a container, each stage in a folder of its own, and then what
// it makes as a platform would. A build that asks more of the network than the npm registry shows where there is none.
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const context = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'tailrace-image-'))
const stages = new Map()
let stage

/** What each instruction does; those that are not here are an error. */
const INSTRUCTIONS = {
  FROM(text) {
    const [image, , name = String(stages.size)] = text.split(/\s+/)
    if (!/^node:\d+-slim$/.test(image)) throw new Error(`the base image ${image} has no Node of a known version`)
    stage = { root: join(folder, name), work: '/', env: {}, labels: {} }
    stages.set(name, stage)
  },
  WORKDIR(text) {
    stage.work = text
    mkdirSync(join(stage.root, text), { recursive: true })
  },
  COPY(text) {
    const [first, ...rest] = text.split(/\s+/)
    const from = first.startsWith('--from=') ? stages.get(first.slice('--from='.length)).root : context
    const paths = from === context ? [first, ...rest] : rest
    const target = paths.at(-1)
    for (const path of paths.slice(0, -1)) {
      const to = join(stage.root, stage.work, target, target.endsWith('/') ? basename(path) : '')
      cpSync(join(from, path), to, { recursive: true })
    }
  },
  RUN(text) {
    console.log(`RUN ${text}`)
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...stage.env }
    execFileSync('/bin/sh', ['-c', text], { cwd: join(stage.root, stage.work), env, stdio: 'inherit' })
  },
  ENV(text) {
    const [, name, value] = /^(\w+)="(.*)"$/.exec(text)
    stage.env[name] = value
  },
  LABEL(text) {
    const [, name, value] = /^([\w.]+)="(.*)"$/.exec(text)
    stage.labels[name] = value
  },
  USER() {},
  ENTRYPOINT(text) {
    stage.entrypoint = JSON.parse(text)
  },
}

try {
  const lines = readFileSync(join(context, 'Dockerfile'), 'utf8').split('\n')
  for (const line of lines.filter((one) => one.trim() !== '' && !one.startsWith('#'))) {
    const [, name, text] = /^(\w+) (.*)$/.exec(line)
    INSTRUCTIONS[name](text)
  }
  const { entrypoint, env, labels, root } = stage
  const { version } = JSON.parse(readFileSync(join(context, 'package.json'), 'utf8'))
  expect('AIRBYTE_ENTRYPOINT', env.AIRBYTE_ENTRYPOINT, entrypoint.join(' '))
  expect('label io.airbyte.version', labels['io.airbyte.version'], version)
  // As anybody: nothing of ours lies about there.
  const [command, ...args] = entrypoint.map((word) => (word.startsWith('/') ? join(root, word) : word))
  chmodSync(folder, 0o755)
  const run = (...more) => {
    const output = execFileSync(command, [...args, ...more], { cwd: '/', env: { PATH: process.env.PATH, ...env } })
    return output
      .toString()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  }
  expect(
    'spec',
    run('spec')
      .map(({ type }) => type)
      .join(' '),
    'SPEC',
  )
  const config = join(folder, 'config.json')
  writeFileSync(config, JSON.stringify({ host: 'localhost', port: 1, database: 'x', username: 'y' }))
  const [{ type, connectionStatus }] = run('check', '--config', config)
  expect('check', `${type} ${connectionStatus.status}`, 'CONNECTION_STATUS FAILED')
  console.log('the steps of the Dockerfile make what they say')
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function expect(what, is, wanted) {
  if (is !== wanted) throw new Error(`${what} is ${is}, and should be ${wanted}`)
}
