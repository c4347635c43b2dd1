// `npm run conformance:airbyte -- --only plain`; `--help` tells the rest.
import { runCompiled } from './runCompiled.mjs'

runCompiled('test/conformance/airbyte/main.ts')
