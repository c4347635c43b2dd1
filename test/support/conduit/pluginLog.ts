/** A line on a plugin's standard error, as go-plugin reads it (reference section 1.5). */
export interface LogLine {
  readonly level: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
  /** It was no JSON, or not as it has to be: the host shows it as text. */
  readonly plain: boolean
}

const LONGEST = 64 * 1024
const PREFIX = /^\[(TRACE|DEBUG|INFO|WARN|ERROR)\] /

/** Throws where the host's process would panic. */
export function readLogLine(line: string): LogLine {
  if (Buffer.byteLength(line) > LONGEST) return plain('debug', line)
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch {
    return plain(PREFIX.exec(line)?.[1]?.toLowerCase() ?? 'debug', line)
  }
  if (typeof parsed !== 'object' || parsed === null) return plain('debug', line)
  const fields = parsed as Record<string, unknown>
  for (const name of ['@level', '@message', '@timestamp']) {
    if (name in fields && typeof fields[name] !== 'string') throw new Error(`the host panics at ${name} of ${line}`)
  }
  const { '@level': level = 'debug', '@message': message = '', '@timestamp': timestamp, ...others } = fields
  if (
    timestamp !== undefined &&
    !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/.test(timestamp as string)
  ) {
    return plain('debug', line)
  }
  return { level: level as string, message: message as string, fields: others, plain: false }
}

function plain(level: string, message: string): LogLine {
  return { level, message, fields: {}, plain: true }
}
