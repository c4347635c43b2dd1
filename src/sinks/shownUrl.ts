/** A URL to be printed: without user, password and query, and with `***` for a path, any part of which may be a token. */
export function shownUrl({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname === '/' ? '/' : '/***'}`
}
