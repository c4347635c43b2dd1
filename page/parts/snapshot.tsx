import type { SnapshotStatus } from '../../src/homes/pipeline/status/status.js'
import { count, countShort, duration, plural } from '../format.js'

/** How far the reading of each table is. */
export function Snapshot({ scans }: { readonly scans: readonly SnapshotStatus[] }) {
  const open = scans.filter(({ done }) => !done)
  const done = scans.filter((one) => one.done)
  const rows = done.reduce((sum, one) => sum + one.rows, 0)
  return (
    <section class="card" aria-label="Reading of rows">
      <h2>Reading rows</h2>
      {open.length > 0 && <Scans scans={open} />}
      {done.length > 0 && (
        <details>
          <summary>
            {plural(done.length, 'table')} read, {plural(rows, 'row')}
          </summary>
          <Scans scans={done} />
        </details>
      )}
    </section>
  )
}

function Scans({ scans }: { readonly scans: readonly SnapshotStatus[] }) {
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">Table</th>
            <th scope="col" class="wide">
              Progress
            </th>
            <th scope="col" class="number">
              Rows
            </th>
            <th scope="col" class="number">
              Rows/s
            </th>
            <th scope="col" class="number">
              Left
            </th>
          </tr>
        </thead>
        <tbody>
          {scans.map((scan) => (
            <Scan key={scan.table} scan={scan} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Scan({ scan }: { readonly scan: SnapshotStatus }) {
  const { table, rows, estimatedRows, done, rowsPerSecond, etaSeconds } = scan
  const known = done || estimatedRows > 0
  // An estimate may be too low: only what is done is whole.
  const percent = done ? 100 : Math.min(99, Math.floor((100 * rows) / Math.max(1, estimatedRows)))
  return (
    <tr>
      <th scope="row">{table}</th>
      <td class="wide">
        <div class="bar">
          <progress max="100" value={known ? percent : undefined} aria-label={`${table} is read`} />
          <span class="percent">{known ? `${percent} %` : ''}</span>
        </div>
      </td>
      <td class="number">
        {count(rows)}
        {!done && estimatedRows > 0 && <span class="muted"> of about {countShort(estimatedRows)}</span>}
      </td>
      <td class="number">{done ? '' : countShort(Math.round(rowsPerSecond))}</td>
      <td class="number">
        {done ? 'done' : etaSeconds === null ? 'not known' : `about ${duration(Math.max(1, Math.round(etaSeconds)))}`}
      </td>
    </tr>
  )
}
