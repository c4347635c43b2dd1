/** Written in by scripts/build.mjs: a file that is copied into a folder of connectors has no package beside it. */
declare const TAILRACE_VERSION: string | undefined

/** As Conduit wants it: `v1.2.3`. */
export const PLUGIN_VERSION = `v${typeof TAILRACE_VERSION === 'string' ? TAILRACE_VERSION : '0.0.0-dev'}`
