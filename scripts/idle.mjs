// `npm run idle-wal -- --seconds 60 --major 17`; `--help` tells the rest.
import { runCompiled } from './runCompiled.mjs'

runCompiled('test/idle/main.ts')
