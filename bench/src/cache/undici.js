// Hits per second of undici's cache, private and in memory as it comes, one after the other.
const { Agent, interceptors, request } = require('undici')

const [address, millis] = process.argv.slice(-2)
const dispatcher = new Agent().compose(interceptors.cache({ type: 'private' }))

async function hitsPerSecond (millis) {
  const start = performance.now()
  let hits = 0
  while (performance.now() - start < millis) {
    const { body, headers } = await request(address, { dispatcher })
    await body.arrayBuffer()
    // The first answer alone may come from the server.
    if (hits > 0 && headers.age === undefined) throw new Error('a hit that was none')
    hits++
  }
  return hits / (performance.now() - start) * 1000
}

async function main () {
  // Until what runs often is compiled.
  await hitsPerSecond(500)
  console.log(await hitsPerSecond(Number(millis)))
  process.exit()
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
