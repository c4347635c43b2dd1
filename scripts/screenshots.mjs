// `npm run screenshots`: the pictures of the page in docs/images, of pipelines that really run, by Chromium.
import { runCompiled } from './runCompiled.mjs'

runCompiled('test/screenshots/main.ts')
