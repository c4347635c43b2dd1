/**
 * `pg` looks whether it runs at Cloudflare, and where there is no `navigator` (Node 20) it does so by making a
 * `Response`, which loads Node's whole HTTP client: a tenth of a command's start. Node has this object from 21 on.
 */
const global = globalThis as { navigator?: unknown }
global.navigator ??= { userAgent: `Node.js/${process.versions.node.split('.')[0]}` }
