import { compositesIn } from '../postgres/catalog/types.js'
import type { CaptureSet } from './captureSet.js'
import type { ControlSession } from './controlSession.js'
import type { Prepared } from './preparation.js'
import { ShapeRegistry } from './shapeRegistry.js'
import { compileCatalogTable, loadTypes } from './snapshotTable.js'
import { compileRelation } from './streamedTable.js'

/**
 * The registry of the stream's shapes. `told`: the run has told the tables' present shapes in a snapshot (or begins
 * now), so that a Relation message which says otherwise is a change; a resumed stream may lag behind the catalog, and
 * learns the shapes from the stream itself.
 */
export async function shapesOf(
  control: ControlSession,
  { compiler }: Prepared,
  capture: CaptureSet,
  told: boolean,
): Promise<ShapeRegistry> {
  const { types } = compiler
  const { planned } = capture
  const isComposite = (oid: number) => {
    const type = types.get(oid)
    return type !== undefined && compositesIn(type).length > 0
  }
  const shapes = new ShapeRegistry({
    captures: (relation) => capture.find(relation) !== undefined,
    compile: (relation) => compileRelation(relation, capture.find(relation)!.plan, control, compiler),
    mayAlter: ({ columns }) => columns.some(({ typeOid }) => isComposite(typeOid)),
  })
  await loadTypes(planned, compiler)
  for (const one of planned) shapes.known(compileCatalogTable(one, compiler), one.table, { told })
  return shapes
}
