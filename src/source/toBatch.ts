import { Batch } from './batch.js'
import type { Collected } from './changeCollector.js'
import type { StreamPosition } from './position.js'

/** A batch of what was collected; a promise of one when a table's shape is still being looked up in the catalog. */
export function toBatch(
  { batch, shapes, position }: Collected,
  ack: (position: StreamPosition) => void,
): Batch | Promise<Batch> {
  const finish = () => {
    for (const shape of shapes) batch.tables.push(shape.table!)
    return new Batch(batch, position, ack)
  }
  if (shapes.every((shape) => shape.table !== undefined)) return finish()
  return Promise.all(shapes.map((shape) => shape.ready)).then(finish)
}
