import { fileURLToPath } from "node:url"
/** Configuration files for the tests, in a folder that goes with the test. */
import { NodeServices } from "@effect/platform-node"
import { Effect, FileSystem, Stream } from "effect"

const scripted = fileURLToPath(new URL("../fixtures/scriptedServer.ts", import.meta.url))

/** A server of our own making. */
export const server = (env: Readonly<Record<string, string>> = {}) => ({
  command: process.execPath,
  args: [scripted],
  env
})

export const broken = { command: process.execPath, args: ["-e", "console.error('no database'); process.exit(3)"] }

export const withoutKey = { ...server(), env: { KEY: "${SCOPED_MCP_TEST_KEY}" } }

/** Writes the servers to a file and answers its path. */
export const write = (servers: Readonly<Record<string, unknown>>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const folder = yield* fs.makeTempDirectoryScoped()
    yield* fs.writeFileString(`${folder}/mcp.json`, JSON.stringify({ servers }))
    return `${folder}/mcp.json`
  }).pipe(Effect.provide(NodeServices.layer))

/** An empty folder. */
export const folder = FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped()).pipe(
  Effect.provide(NodeServices.layer)
)

/** Waits until something is written there. */
export const changed = (folder: string) =>
  FileSystem.FileSystem.use((fs) => Stream.runHead(fs.watch(folder))).pipe(
    Effect.provide(NodeServices.layer),
    Effect.orDie
  )
