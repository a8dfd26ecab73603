/**
 * The thread of a query process that holds the database. SQLite blocks it for as
 * long as a query runs, which is why nothing else lives here.
 */
import { parentPort, workerData } from "node:worker_threads"
import type { EncodedResponse, Request, Settings } from "./protocol.ts"
import { openCatalog, openReadOnly } from "./readOnly.ts"
import { runQuery } from "./runQuery.ts"

const { file } = workerData as Settings

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
const say = (response: EncodedResponse) => parentPort?.postMessage(JSON.stringify(response))

try {
  const connection = openReadOnly(file)
  const catalog = openCatalog(file)
  // SQLite reads a file only when asked: this fails on one that is no database.
  catalog.prepare("SELECT count(*) FROM sqlite_schema").get()
  parentPort?.on("message", (line: string) => say(runQuery(connection, catalog, JSON.parse(line) as Request)))
  say({ _tag: "Ready" })
} catch (cause) {
  say({ _tag: "Unavailable", detail: `${file}: ${cause instanceof Error ? cause.message : String(cause)}` })
}
