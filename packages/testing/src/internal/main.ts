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

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    export: { type: "string", default: "default" },
    journal: { type: "string" },
    faults: { type: "string", default: "[]" }
  }
})

const [module] = positionals
if (module === undefined) throw new Error("which module has the definition?")

const isServer = (value: unknown): value is Definition | FaultyServer<Fault.Process> =>
  isRecord(value) && (value["_tag"] === "ScriptedServer" || value["_tag"] === "FaultyServer")

const url = module.startsWith("file:") ? module : pathToFileURL(resolve(module)).href
const exported: unknown = ((await import(url)) as Record<string, unknown>)[values.export]
if (!isServer(exported)) throw new Error(`the export "${values.export}" of ${module} is no scripted server`)

const faults = decodeFaults(values.faults)
Effect.runFork(
  exported._tag === "ScriptedServer"
    ? StdioServer.run(exported, faults, values.journal)
    : StdioServer.run(exported.definition, [...exported.faults, ...faults], values.journal)
)
