// Nodes of the npm package `bittorrent-dht` as one process, driven by lines of JSON. The protocol is in ../README.md.

import crypto from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import readline from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'

const here = path.dirname(fileURLToPath(import.meta.url))
const folder = path.join(here, '..', '.peers', 'node', 'node_modules', 'bittorrent-dht')
const { default: DHT } = await import(pathToFileURL(path.join(folder, 'index.js')))
const { version } = JSON.parse(readFileSync(path.join(folder, 'package.json')))

class Failure extends Error {
  constructor (error, message, code) {
    super(message)
    this.fields = { error, message, ...(code && { code }) }
  }
}

const say = line => process.stdout.write(JSON.stringify(line) + '\n')
process.stdout.on('error', () => process.exit(0)) // whoever read us is gone

// Ed25519 keys are bare bytes on the wire; node wants them wrapped.
const SECRET = Buffer.from('302e020100300506032b657004220420', 'hex')
const PUBLIC = Buffer.from('302a300506032b6570032100', 'hex')
const publicKey = k => crypto.createPublicKey({ key: Buffer.concat([PUBLIC, k]), format: 'der', type: 'spki' })

function verify (sig, message, k) {
  try {
    return crypto.verify(null, message, publicKey(k), sig)
  } catch {
    return false
  }
}

function signer (seed) {
  const secret = crypto.createPrivateKey({ key: Buffer.concat([SECRET, seed]), format: 'der', type: 'pkcs8' })
  const k = crypto.createPublicKey(secret).export({ format: 'der', type: 'spki' }).subarray(-32)
  return { k, sign: message => crypto.sign(null, message, secret) }
}

function loopback (addr) {
  const [, host, port] = /^(127\.\d+\.\d+\.\d+):(\d+)$/.exec(addr) ?? []
  if (!host || port > 65535) throw new Failure('bad_request', `not an IPv4 loopback address and port: ${addr}`)
  return { host, port: Number(port) }
}

function hex (request, name, length) {
  const text = request[name]
  if (typeof text !== 'string' || text.length !== 2 * length || !/^[0-9a-f]*$/i.test(text)) {
    throw new Failure('bad_request', `${name}: ${2 * length} hexadecimal digits are needed`)
  }
  return Buffer.from(text, 'hex')
}

function salt (request) {
  if (request.salt === undefined || request.salt === null) return undefined
  if (typeof request.salt !== 'string') throw new Failure('bad_request', 'salt: a text is needed')
  return Buffer.from(request.salt)
}

// JSON to what is bencoded, and back.
function carried (value) {
  if (typeof value === 'string') return Buffer.from(value)
  if (Number.isInteger(value)) return value
  if (Array.isArray(value)) return value.map(carried)
  if (value && typeof value === 'object') {
    if (typeof value.$hex === 'string') return Buffer.from(value.$hex, 'hex')
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, carried(inner)]))
  }
  throw new Failure('bad_request', 'value: texts, integers, lists and dictionaries of them only')
}

function shown (value) {
  if (value === null || value === undefined) return null
  if (Array.isArray(value)) return value.map(shown)
  if (typeof value === 'object' && !ArrayBuffer.isView(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shown(inner)]))
  }
  if (typeof value !== 'object') return value
  const bytes = Buffer.from(value)
  const text = bytes.toString()
  return Buffer.from(text).equals(bytes) ? text : { $hex: bytes.toString('hex') }
}

const later = run => new Promise((resolve, reject) => {
  run((error, ...results) => error ? reject(error) : resolve(results))
})

function stored (run) {
  return later(run).then(([target, count]) => ({ target: target.toString('hex'), stored: count }), error => {
    if (error.code >= 200 && error.code < 400) throw new Failure('refused', error.message, error.code)
    // The package keeps only 301 and 302 of what it was told.
    throw new Failure('not_stored', error.message)
  })
}

const nodes = new Map()
let started = 0

function start (request) {
  const bind = loopback(request.bind ?? '127.0.0.1:0')
  const bootstrap = (request.bootstrap ?? []).map(addr => loopback(addr)).map(({ host, port }) => `${host}:${port}`)
  if (request.read_only) throw new Failure('unsupported', 'the package has no read-only nodes')
  // Left out, the list means the public routers.
  const dht = new DHT({ bootstrap: bootstrap.length ? bootstrap : false, verify, timeout: request.request_timeout_ms })
  dht.on('warning', () => {})
  return new Promise((resolve, reject) => {
    dht.once('error', error => reject(new Failure('io', error.message)))
    dht.listen(bind.port, bind.host, () => {
      dht.on('error', () => {})
      const node = started++
      nodes.set(node, dht)
      const { address, port } = dht.address()
      resolve({ node, addr: `${address}:${port}`, node_id: dht.nodeId.toString('hex') })
    })
  })
}

const operations = {
  async put_immutable (dht, request) {
    if (request.value === undefined) throw new Failure('bad_request', 'value: is needed')
    return stored(done => dht.put({ v: carried(request.value) }, done))
  },
  async get_immutable (dht, request) {
    const target = hex(request, 'target', 20)
    const [found] = await later(done => dht.get(target, { cache: false }, done))
    return { value: found ? shown(found.v) : null }
  },
  async put_mutable (dht, request) {
    if (request.value === undefined) throw new Failure('bad_request', 'value: is needed')
    if (!Number.isSafeInteger(request.seq)) throw new Failure('bad_request', 'seq: an integer is needed')
    const { k, sign } = signer(hex(request, 'seed', 32))
    const options = { k, sign, seq: request.seq, salt: salt(request), v: carried(request.value) }
    if (Number.isInteger(request.cas)) options.cas = request.cas
    const answer = await stored(done => dht.put(options, done))
    return { ...answer, public_key: k.toString('hex'), seq: request.seq }
  },
  async get_mutable (dht, request) {
    const k = hex(request, 'public_key', 32)
    const suffix = salt(request)
    const target = crypto.createHash('sha1').update(k).update(suffix ?? '').digest()
    const [found] = await later(done => dht.get(target, { cache: false, salt: suffix }, done))
    if (!found) return { value: null, seq: null }
    return { value: shown(found.v), seq: found.seq ?? null, sig: found.sig ? Buffer.from(found.sig).toString('hex') : null }
  },
  async announce (dht, request) {
    const infoHash = hex(request, 'info_hash', 20)
    await later(done => dht.announce(infoHash, request.port ?? 0, done)).catch(error => {
      throw new Failure('not_stored', error.message)
    })
    return {}
  },
  async get_peers (dht, request) {
    const infoHash = hex(request, 'info_hash', 20)
    const peers = new Set()
    const heard = (peer, hash) => { if (hash.equals(infoHash)) peers.add(`${peer.host}:${peer.port}`) }
    dht.on('peer', heard)
    try {
      await later(done => dht.lookup(infoHash, done))
    } finally {
      dht.removeListener('peer', heard)
    }
    return { peers: [...peers].sort() }
  },
  async add_node (dht, request) {
    dht.addNode(loopback(request.addr))
    return {}
  },
  async nodes (dht) {
    return { count: dht.nodes.toArray().length }
  }
}

async function operate (request) {
  if (request.op === 'start') return start(request)
  const dht = nodes.get(request.node)
  if (!dht) throw new Failure('bad_request', 'no such node')
  if (request.op === 'stop') {
    nodes.delete(request.node)
    await new Promise(resolve => dht.destroy(resolve))
    return {}
  }
  if (!Object.hasOwn(operations, request.op)) throw new Failure('bad_request', `unknown op: ${request.op}`)
  return operations[request.op](dht, request)
}

async function answer (line) {
  const begun = performance.now()
  let id = null
  let timer
  const reply = fields => say({ id, ms: Math.round((performance.now() - begun) * 10) / 10, ...fields })
  try {
    const request = JSON.parse(line)
    id = request.id ?? null
    const limit = new Promise((resolve, reject) => {
      const late = () => reject(new Failure('timeout', 'no answer within timeout_ms'))
      timer = setTimeout(late, request.timeout_ms ?? 30000)
    })
    reply({ ok: true, ...await Promise.race([operate(request), limit]) })
  } catch (error) {
    reply({ ok: false, ...(error.fields ?? { error: 'bad_request', message: error.message }) })
  } finally {
    clearTimeout(timer)
  }
}

say({ event: 'ready', kind: 'bittorrent-dht', version, protocol: 1 })
const lines = readline.createInterface({ input: process.stdin })
lines.on('line', line => { if (line.trim()) answer(line) })
lines.on('close', () => process.exit(0))
