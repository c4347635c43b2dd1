/** Strategies of a btree operator class. */
export const LESS = 1
export const EQUAL = 3

/**
 * SQL of the schema of that operator in the default btree class of the type whose OID `type` gives; null when it has
 * none. An extension's operators are not found with an empty search_path.
 */
export function operatorSchema(type: string, strategy: typeof LESS | typeof EQUAL): string {
  return `(SELECT s.nspname::pg_catalog.text
          FROM pg_catalog.pg_opclass oc
          JOIN pg_catalog.pg_am m ON m.oid = oc.opcmethod AND m.amname = 'btree'
          JOIN pg_catalog.pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = ${strategy}
                                    AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
          JOIN pg_catalog.pg_operator o ON o.oid = ao.amopopr
          JOIN pg_catalog.pg_namespace s ON s.oid = o.oprnamespace
         WHERE oc.opcdefault AND oc.opcintype = ${type})`
}
