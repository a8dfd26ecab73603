/** The program of a scripted server on stdio: `MODULE [--export NAME] [--journal FILE] [--faults JSON]`. */
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Fault from "../Fault.ts"
import type { FaultyServer } from "../FaultyServer.ts"
import type { Definition } from "../ScriptedServer.ts"
import { isRecord } from "./frames.ts"
import * as StdioServer from "./stdioServer.ts"

const decodeFaults = Schema.decodeSync(Schema.fromJsonString(Schema.Array(Fault.Process)))

const isServer = (value: unknown): value is Definition | FaultyServer<Fault.Process> =>
  isRecord(value) && (value["_tag"] === "ScriptedServer" || value["_tag"] === "FaultyServer")

const read = async () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      export: { type: "string", default: "default" },
      journal: { type: "string" },
      faults: { type: "string", default: "[]" }
    }
  })
  const [module] = positionals
  if (module === undefined) throw new Error("name the module that has the definition")
  const url = module.startsWith("file:") ? module : pathToFileURL(resolve(module)).href
  const exported: unknown = ((await import(url)) as Record<string, unknown>)[values.export]
  if (!isServer(exported)) throw new Error(`the export "${values.export}" of ${module} is no scripted server`)
  const own = exported._tag === "FaultyServer" ? exported.faults : []
  return StdioServer.run(
    exported._tag === "FaultyServer" ? exported.definition : exported,
    [...own, ...decodeFaults(values.faults)],
    values.journal
  )
}

try {
  Effect.runFork(await read())
} catch (error) {
  process.stderr.write(`scoped-mcp-scripted: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
