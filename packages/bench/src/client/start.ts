/** The shortest program there is: open one stdio server, make one call. The runner holds the watch. */
import { writeSync } from "node:fs"
import type { MakeStack, Target } from "./Stack.ts"

const [module, command, server] = process.argv.slice(2) as [string, string, string]
const target: Target = { kind: "stdio", command, args: [server] }
const { make } = (await import(`../stacks/${module}.js`)) as { readonly make: MakeStack }
const stack = make()
const group = await stack.open([target])
await group.run({ call: { tool: "echo", args: { text: "hello" }, length: 5 }, width: 1, calls: 1 })
const { system, user } = process.cpuUsage()
writeSync(3, String((user + system) / 1000))
await group.close()
await stack.stop()
process.exit(0)
