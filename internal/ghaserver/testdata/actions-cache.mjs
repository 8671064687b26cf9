// Does with GitHub's own client of the cache service what the lines of the
// standard input say, and prints a line with what came of each. The argument is
// the node_modules with @actions/cache. A line is JSON:
//
//	{"do": "save", "path": "dir", "key": "k"}
//	{"do": "restore", "path": "dir", "key": "k", "restoreKeys": ["k-"], "lookupOnly": true}
//
// and so is the answer: {"result": "k", "said": "..."}, where said is what the
// client has printed, which is how it tells of most failures.

import dns from 'node:dns'
import path from 'node:path'
import readline from 'node:readline'
import {pathToFileURL} from 'node:url'

// Hosts of Azure, to which the client speaks in another way, are this machine.
const lookup = dns.lookup
dns.lookup = (host, options, done) => lookup(host.endsWith('.blob.core.windows.net') ? '127.0.0.1' : host, options, done)

let said = ''
const print = process.stdout.write.bind(process.stdout)
process.stdout.write = text => {
  said += text
  return true
}

const module = path.join(process.argv[2], '@actions', 'cache', 'lib', 'cache.js')
const cache = await import(pathToFileURL(module).href)

async function step(s) {
  switch (s.do) {
    case 'save':
      return await cache.saveCache([s.path], s.key)
    case 'restore':
      return await cache.restoreCache([s.path], s.key, s.restoreKeys, {lookupOnly: s.lookupOnly})
    default:
      throw new Error(`unknown step ${s.do}`)
  }
}

for await (const line of readline.createInterface({input: process.stdin})) {
  said = ''
  const answer = {}
  const began = performance.now()
  try {
    answer.result = await step(JSON.parse(line))
  } catch (e) {
    answer.error = String(e)
  }
  print(JSON.stringify({...answer, milliseconds: performance.now() - began, said}) + '\n')
}
