// A process of its own that takes requests and counts the records in them, as their header tells: { port } comes as a message.
import { createServer } from 'node:http'

let records = 0
let requests = 0
const server = createServer((request, response) => {
  request.on('data', () => {})
  request.on('end', () => {
    records += Number(request.headers['tailrace-records'] ?? 1)
    requests++
    response.writeHead(204).end()
  })
})
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
process.on('message', () => {
  process.send({ records, requests })
  records = requests = 0
})
process.on('disconnect', () => process.exit())
