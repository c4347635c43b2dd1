/**
 * The fast forms: how a row's loop writes a column is a switch on `codec.form`, so that the functions below are called
 * by name and inlined; only FORM_OTHER goes through `codec.writeJson`, which every codec has.
 */

/** writeToken: the text as it is. int2, int4, int8, jsonb. */
export const FORM_TOKEN = 0
/** writeNumber: as it is, but NaN and the infinities in quotes. numeric, float4, float8. */
export const FORM_NUMBER = 1
/** writeBool: `t`, `f`. */
export const FORM_BOOL = 2
/** writePlain: in quotes; no character of the type's text ever needs an escape. uuid, date, interval, oid … */
export const FORM_PLAIN = 3
/** writeJsonString: in quotes, escaped. Whatever has no form of its own. */
export const FORM_TEXT = 4
/** writeTimestamp: `2020-01-01T00:00:00`. */
export const FORM_TIMESTAMP = 5
/** writeTimestamptz: `2020-01-01T00:00:00+00:00`. */
export const FORM_TIMESTAMPTZ = 6
/** writeDocument: json, embedded; only a line break between tokens becomes a blank. */
export const FORM_JSON = 7
/** codec.writeJson: bytea, "char", arrays, composites, hstore. */
export const FORM_OTHER = 8
