import { workerData } from 'node:worker_threads'
import { serveRecords } from '../homes/airbyte/read/recordServer.js'
import type { RecordSetup } from '../homes/airbyte/read/recordSetup.js'

serveRecords(workerData as RecordSetup)
