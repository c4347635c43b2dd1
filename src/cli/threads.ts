// The files of threads: beside this one, and beside the bundled commands, which are in dist/cli too.
export const ENCODER_WORKER = new URL('./encoderWorker.js', import.meta.url)
export const RECORD_WORKER = new URL('./recordWorker.js', import.meta.url)
