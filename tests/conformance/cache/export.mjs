// Prints the cases of the suite that lies in the folder given, as JSON.
// The suite's own export does the same, but loads a validator that users of the package do not get.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const load = async file => (await import(pathToFileURL(file))).default
const folder = resolve(process.argv[2], 'tests')

const suites = [...await load(resolve(folder, 'index.mjs'))]
// The one suite that the package's index leaves out.
const apart = resolve(folder, 'surrogate-control.mjs')
if (existsSync(apart)) suites.push(await load(apart))
process.stdout.write(JSON.stringify(suites))
