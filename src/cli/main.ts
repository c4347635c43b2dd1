#!/usr/bin/env node
import { run } from './program.js'

process.exitCode = await run(process.argv)
// What is left open (a thread that waits for a pipe nobody reads) must not keep the process.
process.exit()
