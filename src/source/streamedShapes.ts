import type { PlannedTable } from './capturePlan.js'
import type { ControlSession } from './controlSession.js'
import type { Prepared } from './preparation.js'
import { ShapeRegistry } from './shapeRegistry.js'
import { compileCatalogTable } from './snapshotTable.js'
import { compileRelation } from './streamedTable.js'

/**
 * The registry of the stream's shapes. `known`: the run has told the tables' present shapes in a snapshot (or begins
 * now), so that a Relation message which says otherwise is a change; a resumed stream may lag behind the catalog, and
 * learns the shapes from the stream itself.
 */
export async function shapesOf(
  control: ControlSession,
  { compiler }: Prepared,
  planned: readonly PlannedTable[],
  known: boolean,
): Promise<ShapeRegistry> {
  const byOid = new Map(planned.map((one) => [one.table.oid, one]))
  const byName = new Map(planned.map((one) => [nameOf(one.table), one]))
  const planOf = (relation: { readonly oid: number; readonly schema: string; readonly name: string }) =>
    byOid.get(relation.oid) ?? byName.get(nameOf(relation))
  const shapes = new ShapeRegistry({
    captures: (relation) => planOf(relation) !== undefined,
    compile: (relation) => compileRelation(relation, planOf(relation)!.plan, control, compiler),
  })
  await compiler.types.load(planned.flatMap(({ table }) => table.columns.map(({ typeOid }) => typeOid)))
  if (known) for (const one of planned) shapes.known(compileCatalogTable(one, compiler), one.table)
  return shapes
}

/** No name holds a NUL. */
function nameOf({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${schema}\0${name}`
}
