#!/usr/bin/env node
import '../../postgres/navigator.js'
import { runPlugin } from './plugin/runPlugin.js'
import { takeStdout } from './plugin/stdout.js'

takeStdout()
runPlugin(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(1)
})
