// `npm run chaos -- --runs 3 --seed 7`; `--help` tells the rest.
import { runCompiled } from './runCompiled.mjs'

runCompiled('test/chaos/main.ts')
