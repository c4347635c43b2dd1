/** A part of a path that looks like a token, as in the addresses that chat services give out. */
const TOKEN = /^(?=.*\d)[\w-]{20,}$/

/** A URL to be printed: without user and password, and with `***` for whatever may be a token. */
export function shownUrl(url: URL): string {
  const path = url.pathname.split('/').map((part) => (TOKEN.test(part) ? '***' : part))
  const query = [...url.searchParams.keys()].map((name) => `${name}=***`).join('&')
  return `${url.protocol}//${url.host}${path.join('/')}${query === '' ? '' : `?${query}`}`
}
