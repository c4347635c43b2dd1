interface Named {
  readonly schema: string
  readonly name: string
}

export interface EnumDefinition extends Named {
  readonly kind: 'enum'
  /** In order. */
  readonly labels: readonly string[]
}

export interface DomainDefinition extends Named {
  readonly kind: 'domain'
  /** As `format_type` prints it. */
  readonly base: string
  readonly notNull: boolean
  /** ` COLLATE …`, where it is another than the base's. */
  readonly collate: string
  /** `CHECK (…)`, those that hold for all rows. */
  readonly checks: readonly string[]
}

export interface CompositeDefinition extends Named {
  readonly kind: 'composite'
  readonly fields: readonly { readonly name: string; readonly typeName: string }[]
}

export interface RangeDefinition extends Named {
  readonly kind: 'range'
  /** As `format_type` prints it. */
  readonly subtype: string
  /** Made with it. */
  readonly multirange: Named
  /** What else `CREATE TYPE … AS RANGE` takes, as SQL: `COLLATION = "C"`. */
  readonly options: readonly string[]
}

export interface MultirangeDefinition extends Named {
  readonly kind: 'multirange'
  /** With which it is made. */
  readonly range: Named
}

/** It comes with an extension. */
export interface ExtensionType extends Named {
  readonly kind: 'extension'
  readonly extension: string
  /** As `format_type` prints it at the source: an extension may lie in another schema elsewhere. */
  readonly typeName: string
}

/** Of which we do not know how to make it elsewhere. */
export interface OtherType extends Named {
  readonly kind: 'other'
  readonly what: string
}

/** What it takes to make a type, which is none of the server's own, somewhere else. */
export type UserType =
  | EnumDefinition
  | DomainDefinition
  | CompositeDefinition
  | RangeDefinition
  | MultirangeDefinition
  | ExtensionType
  | OtherType
