import { workerData } from 'node:worker_threads'
import { NdjsonEncoder, type NdjsonOptions } from '../codec/ndjson.js'
import { serveEncoder } from '../sinks/lines/encoderWorker.js'

const encoder = new NdjsonEncoder(workerData as NdjsonOptions)
serveEncoder((writer, rows) => encoder.write(writer, rows))
