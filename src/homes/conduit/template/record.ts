/** A key or a row: decoded, or bytes that nobody has decoded; undefined: the record has none. */
export type TemplateData = Readonly<Record<string, unknown>> | Uint8Array | undefined

/** What a template sees of a record. Values are JSON's, and bigint. */
export interface TemplateRecord {
  readonly position: string
  readonly operation: 'create' | 'update' | 'delete' | 'snapshot'
  readonly metadata: Readonly<Record<string, string>>
  readonly key: TemplateData
  readonly before: TemplateData
  readonly after: TemplateData
}

export const RECORD_FIELDS = ['Metadata', 'Key', 'Payload', 'Operation', 'Position'] as const
export const PAYLOAD_FIELDS = ['Before', 'After'] as const
