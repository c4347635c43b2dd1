// `npm run fuzz -- --seconds 3600`; `--help` tells the rest.
import { runCompiled } from './runCompiled.mjs'

runCompiled('test/fuzz/main.ts')
