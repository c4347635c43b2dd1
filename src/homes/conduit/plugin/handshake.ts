/** What Conduit gives to every plugin that it starts; who starts one by hand has not got it. */
const COOKIE = '204e8e812c3a1bb73b838928c575b42a105dd2e9aa449be481bc4590486df53f'
const COOKIE_VARIABLE = 'CONDUIT_PLUGIN_MAGIC_COOKIE'
/** go-plugin's own protocol. */
const CORE_PROTOCOL = 1
/** connector.v2, which Conduit has since v0.11. */
const APP_PROTOCOL = 2

type Environment = Readonly<Record<string, string | undefined>>

/** Undefined: a host that we can speak with has started us. Else what to tell whoever did. */
export function whyNoHost(env: Environment): string | undefined {
  if (env[COOKIE_VARIABLE] !== COOKIE) {
    return [
      'This is a plugin of Conduit (https://conduit.io): it is not run by hand, Conduit starts it.',
      "Put this file, or a link to it, into Conduit's folder for connectors (connectors.path, by default ./connectors),",
      'with nothing else in there, and name it in a pipeline as plugin: standalone:tailrace.',
      'Arguments: "version" prints the version, "spec" the connector.yaml. See docs/conduit.md.',
    ].join('\n')
  }
  const versions = env.PLUGIN_PROTOCOL_VERSIONS?.split(',').map((version) => version.trim())
  if (versions === undefined || versions.includes(String(APP_PROTOCOL))) return undefined
  return `This Conduit speaks version ${versions.join(', ')} of the connector protocol, and this plugin version ${APP_PROTOCOL} only: it needs Conduit v0.11 or later.`
}

export interface Listening {
  readonly network: 'tcp' | 'unix'
  readonly address: string
}

/** The one line on standard output: where the host finds us. */
export function handshakeLine({ network, address }: Listening): string {
  return `${CORE_PROTOCOL}|${APP_PROTOCOL}|${network}|${address}|grpc|\n`
}
