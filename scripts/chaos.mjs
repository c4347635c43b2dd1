// `npm run chaos -- --runs 3 --seed 7`, `npm run chaos -- replicate --kills 50`, `npm run chaos -- airbyte`, `npm run chaos -- webhook`; `--help` tells the rest.
import { runCompiled } from './runCompiled.mjs'

const KINDS = ['replicate', 'airbyte', 'webhook']
const kind = KINDS.find((name) => name === process.argv[2])
runCompiled(kind === undefined ? 'test/chaos/main.ts' : `test/chaos/${kind}/main.ts`)
