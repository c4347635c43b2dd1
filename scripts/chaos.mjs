// `npm run chaos -- --runs 3 --seed 7`, `npm run chaos -- replicate --kills 50`; `--help` tells the rest.
import { runCompiled } from './runCompiled.mjs'

runCompiled(process.argv[2] === 'replicate' ? 'test/chaos/replicate/main.ts' : 'test/chaos/main.ts')
