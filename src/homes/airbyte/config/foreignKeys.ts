/** Keys of Estuary's and Airbyte's connectors that stand for no setting, as `spec` shows them. */
export const FOREIGN_KEYS = {
  address: { type: 'string', title: 'address', description: "Estuary's: host, or host:port.", examples: ['db:5432'] },
  user: { type: 'string', title: 'user', description: "Estuary's name of username." },
  replication_method: {
    type: 'object',
    title: 'replication_method',
    description: "Airbyte's: how changes are found. Only CDC is done.",
    oneOf: [
      {
        title: 'CDC',
        required: ['method'],
        properties: {
          method: { type: 'string', const: 'CDC' },
          plugin: { type: 'string', enum: ['pgoutput'], description: 'pgoutput.' },
          replication_slot: { type: 'string', description: 'The same as slot_name.' },
          publication: { type: 'string', description: 'The same as publication_name.' },
          invalid_cdc_cursor_position_behavior: {
            type: 'string',
            enum: ['Fail sync', 'Re-sync data'],
            description: 'The same as on_lost_position.',
          },
          initial_waiting_seconds: { type: 'integer', description: 'Not used: nothing is waited for.' },
          queue_size: { type: 'integer', description: 'Not used: see max_bytes.' },
          lsn_commit_behaviour: {
            type: 'string',
            description: 'Not used: the slot moves to the position of the state that a run is given.',
          },
          heartbeat_action_query: { type: 'string', description: 'Not used: see heartbeat.' },
          initial_load_timeout_hours: { type: 'integer', description: 'Not used: the first load has no limit.' },
        },
      },
    ],
  },
  tunnel_method: {
    type: 'object',
    title: 'tunnel_method',
    description:
      "Airbyte's: only NO_TUNNEL. Open a tunnel beside the connector and give its local end as host and port.",
    oneOf: [
      {
        title: 'No tunnel',
        required: ['tunnel_method'],
        properties: { tunnel_method: { type: 'string', const: 'NO_TUNNEL' } },
      },
    ],
  },
  advanced: {
    type: 'object',
    title: 'advanced',
    description: "Estuary's: what is known here under another name.",
    properties: {
      slotName: { type: 'string', description: 'The same as slot_name.' },
      publicationName: { type: 'string', description: 'The same as publication_name.' },
      sslmode: { type: 'string', description: 'The same as ssl_mode.mode.' },
    },
  },
  credentials: {
    type: 'object',
    title: 'credentials',
    description: "Estuary's: only auth_type UserPassword.",
    properties: {
      auth_type: { type: 'string', description: 'UserPassword.' },
      password: { type: 'string', airbyte_secret: true, description: 'The same as password.' },
    },
  },
} as const
