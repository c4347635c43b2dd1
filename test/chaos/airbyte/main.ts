import { parseArgs } from 'node:util'
import { STATE_TYPES } from '../../support/airbyte/syncs.js'
import { DEFAULT_MAJOR } from '../../support/servers.js'
import { Random } from '../random.js'
import { logTo, succeeds } from '../round.js'
import { runAirbyteChaos } from './chaos.js'

const HELP = `Kills tailrace-airbyte read at random while its tables are changed, each run going on from the last whole STATE line, once with each type of
state. Then the records of all runs, folded by key and cursor, must equal the tables, and none with a greater cursor may tell of an older row.
A round that fails keeps its files, and ends all with exit code 1.

  --types <names>  of state; default ${STATE_TYPES.join(',')}
  --kills <n>      with each of them; default 50
  --seed <n>       of moments and writers; default by the clock
  --rows <n>       of the largest table; default 40000
  --major <n>      of PostgreSQL; default ${DEFAULT_MAJOR}
  --log <file>     append what is printed to this file, too
`

const { values } = parseArgs({
  allowPositionals: true,
  options: {
    types: { type: 'string', default: STATE_TYPES.join(',') },
    kills: { type: 'string', default: '50' },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
    rows: { type: 'string', default: '40000' },
    major: { type: 'string', default: String(DEFAULT_MAJOR) },
    log: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

const log = logTo(values.log)

if (values.help) process.stdout.write(HELP)
else process.exitCode = await main()

async function main(): Promise<number> {
  const wanted = values.types.split(',')
  const types = STATE_TYPES.filter((type) => wanted.includes(type))
  if (types.length !== wanted.length) throw new Error(`--types ${values.types}: there are ${STATE_TYPES.join(', ')}`)
  let failed = false
  for (const type of types) if (!(await round(type))) failed = true
  return failed ? 1 : 0
}

async function round(stateType: (typeof STATE_TYPES)[number]): Promise<boolean> {
  const [seed, kills, rows] = [values.seed, values.kills, values.rows].map(Number) as [number, number, number]
  log(`state of type ${stateType}: seed ${seed}, ${kills} kills, ${rows} rows, PostgreSQL ${values.major}`)
  return succeeds({
    name: `airbyte-${stateType}`,
    proven: `state of type ${stateType}: by key and cursor the records are the tables, and no record tells of an older row`,
    log,
    run: async (folder, servers) => {
      const server = await servers.start('server', { major: Number(values.major) })
      const random = new Random(seed)
      return runAirbyteChaos({ url: server.url(), stateType, folder, kills, rows, log, random })
    },
  })
}
