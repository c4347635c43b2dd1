import { parentPort, workerData } from 'node:worker_threads'
import type { AvroOptions } from '../../../codec/avro/index.js'
import { type LineJob, LineJobs } from './lineJobs.js'

// The thread's own file, bundled apart: the text of it is in the plugin.
const jobs = new LineJobs(workerData as AvroOptions)
parentPort!.on('message', (job: LineJob) => {
  const done = jobs.do(job)
  const { ends, checks } = done.made
  parentPort!.postMessage(done, [done.input, done.output, ends.buffer as ArrayBuffer, checks.buffer as ArrayBuffer])
})
