/** What the host tells a plugin by its environment; texts are empty where it says nothing. */
export interface PluginEnvironment {
  /** `<pipeline>:<connector>`, or of what the host asks without a pipeline: `load-specifications`, `validate-…`. */
  readonly connectorId: string
  /** As pino and Conduit name them; anything else is taken for `trace`, as the Go connectors do. */
  readonly logLevel: string
  /** Bytes of the largest message that the server takes. */
  readonly maxReceiveBytes: number
  /** Where the host serves its registry of schemas, and what lets us in there. */
  readonly utilitiesTarget: string
  readonly token: string
}

const MAX_RECEIVE_BYTES = 4 * 1024 * 1024

export function readEnvironment(env: Readonly<Record<string, string | undefined>>): PluginEnvironment {
  const bytes = Number(env.CONDUIT_CONNECTOR_MAX_RECEIVE_RECORD_SIZE)
  return {
    connectorId: env.CONDUIT_CONNECTOR_ID ?? '',
    logLevel: env.CONDUIT_CONNECTOR_LOG_LEVEL ?? '',
    maxReceiveBytes: Number.isSafeInteger(bytes) && bytes > 0 ? bytes : MAX_RECEIVE_BYTES,
    utilitiesTarget: env.CONDUIT_CONNECTOR_UTILITIES_GRPC_TARGET ?? '',
    token: env.CONDUIT_CONNECTOR_TOKEN ?? '',
  }
}

/** Conduit inherits them to its plugins, and gRPC would send calls to Conduit itself through them. */
export function forgetProxies(env: Record<string, string | undefined>): void {
  for (const name of Object.keys(env)) if (/^(grpc|https?|all)_proxy$/i.test(name)) delete env[name]
}
