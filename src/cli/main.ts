#!/usr/bin/env node
import '../postgres/navigator.js'
import { run } from './program.js'

// Whoever has closed our stderr wants to hear no more; the lines on stdout are another matter.
process.stderr.on('error', () => {})
process.exitCode = await run(process.argv)
// What is left open (a thread that waits for a pipe nobody reads) must not keep the process.
process.exit()
