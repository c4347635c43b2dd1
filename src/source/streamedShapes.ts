import { compositesIn } from '../postgres/catalog/types.js'
import type { PlannedTable } from './capturePlan.js'
import type { ControlSession } from './controlSession.js'
import type { Prepared } from './preparation.js'
import { qualifiedName, ShapeRegistry } from './shapeRegistry.js'
import { compileCatalogTable } from './snapshotTable.js'
import { compileRelation } from './streamedTable.js'

/**
 * The registry of the stream's shapes. `told`: the run has told the tables' present shapes in a snapshot (or begins
 * now), so that a Relation message which says otherwise is a change; a resumed stream may lag behind the catalog, and
 * learns the shapes from the stream itself.
 */
export async function shapesOf(
  control: ControlSession,
  { compiler }: Prepared,
  planned: readonly PlannedTable[],
  told: boolean,
): Promise<ShapeRegistry> {
  const { types } = compiler
  const byOid = new Map(planned.map((one) => [one.table.oid, one]))
  const byName = new Map(planned.map((one) => [qualifiedName(one.table), one]))
  const planOf = (relation: { readonly oid: number; readonly schema: string; readonly name: string }) =>
    byOid.get(relation.oid) ?? byName.get(qualifiedName(relation))
  const isComposite = (oid: number) => {
    const type = types.get(oid)
    return type !== undefined && compositesIn(type).length > 0
  }
  const shapes = new ShapeRegistry({
    captures: (relation) => planOf(relation) !== undefined,
    compile: (relation) => compileRelation(relation, planOf(relation)!.plan, control, compiler),
    mayAlter: ({ columns }) => columns.some(({ typeOid }) => isComposite(typeOid)),
  })
  await types.load(planned.flatMap(({ table }) => table.columns.map(({ typeOid }) => typeOid)))
  for (const one of planned) shapes.known(compileCatalogTable(one, compiler), one.table, { told })
  return shapes
}
