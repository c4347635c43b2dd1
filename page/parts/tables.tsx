import { bytes, count, countShort } from '../format.js'
import type { PipelineProps } from './pipeline.js'

const OPERATIONS = ['snapshot', 'create', 'update', 'delete', 'truncate'] as const
const SHOWN = 8

/** What came of each table since the run began. */
export function Tables({ pipeline: { tables, otherTables } }: PipelineProps) {
  if (tables.length === 0) return null
  return (
    <section class="card" aria-label="Records by table">
      <h2>Records since the run began</h2>
      <Rows tables={tables.slice(0, SHOWN)} />
      {tables.length > SHOWN && (
        <details>
          <summary>{count(tables.length - SHOWN + otherTables)} more tables</summary>
          <Rows tables={tables.slice(SHOWN)} />
          {otherTables > 0 && <p class="muted">… and {count(otherTables)} with fewer records.</p>}
        </details>
      )}
    </section>
  )
}

function Rows({ tables }: { readonly tables: PipelineProps['pipeline']['tables'] }) {
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">Table</th>
            {OPERATIONS.map((name) => (
              <th key={name} scope="col" class="number">
                {name}
              </th>
            ))}
            <th scope="col" class="number">
              received
            </th>
          </tr>
        </thead>
        <tbody>
          {tables.map((table) => (
            <tr key={table.table}>
              <th scope="row">{table.table}</th>
              {OPERATIONS.map((name) => (
                <td key={name} class={table[name] === 0 ? 'number zero' : 'number'}>
                  {countShort(table[name])}
                </td>
              ))}
              <td class="number">{bytes(table.bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
