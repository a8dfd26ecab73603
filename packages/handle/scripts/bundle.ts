/** Puts the runtime and its Effect into one file, so that the package installs beside Effect 3, or none. */
import { builtinModules } from "node:module"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"

const folder = new URL("../", import.meta.url)
const path = (name: string) => fileURLToPath(new URL(name, folder))

const bundle = await rolldown({
  input: path("dist/index.js"),
  platform: "node",
  treeshake: true,
  external: [/^node:/, ...builtinModules, /^@modelcontextprotocol\//, "undici"]
})
await bundle.write({ file: path("dist/bundle.js"), format: "esm", sourcemap: false, minify: false, codeSplitting: false })
await bundle.close()
