/**
 * Completes a lock file. npm leaves a binary package of another platform out of it when the registry at hand does not have
 * that package, and then refuses the lock file at `npm ci`, on every platform. Its version stands in the package that asks
 * for it, and its platform in its name.
 *
 * `node scripts/lock.ts [FILE…]`, after an `npm install` that changed the lock file.
 */
import { readFileSync, writeFileSync } from "node:fs"

interface Entry {
  readonly version?: string
  readonly dev?: boolean
  readonly optional?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const systems = ["android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32", "aix"]
const processors = ["arm64", "arm", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64", "wasm32"]

const platformOf = (name: string) => ({
  os: systems.filter((system) => name.includes(system)),
  cpu: processors.filter((processor) => new RegExp(`[-_.]${processor}([-_.]|$)`).test(name)).slice(0, 1)
})

const folders = [".", "packages/bench", "packages/conformance", "examples/effect-3", "examples/handle"]
const files = process.argv.length > 2 ? process.argv.slice(2) : folders.map((folder) => `${folder}/package-lock.json`)
for (const file of files) {
  const lock = JSON.parse(readFileSync(file, "utf8")) as { packages: Record<string, Entry> }
  let added = 0
  for (const [place, entry] of Object.entries(lock.packages)) {
    if (place === "" || !place.includes("node_modules/")) continue
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const nested = `${place}/node_modules/${name}`
      const top = `node_modules/${name}`
      if (nested in lock.packages || top in lock.packages || !/^\d/.test(version)) continue
      added++
      const dev = entry.dev === undefined ? {} : { dev: entry.dev }
      lock.packages[top] = { version, ...dev, optional: true, ...platformOf(name) }
    }
  }
  lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
  process.stdout.write(`${file}: ${added} packages of other platforms added\n`)
}
