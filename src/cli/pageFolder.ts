import { fileURLToPath } from 'node:url'

/** Where the page of the HTTP interface is built to. */
export const pageFolder = fileURLToPath(new URL('../page/', import.meta.url))
