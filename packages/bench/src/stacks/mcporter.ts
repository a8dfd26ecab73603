/** `mcporter`: its runtime, one for all servers of a group. */
import { createRuntime } from "mcporter"
import { groupOf, type MakeStack, textOf } from "../client/Stack.ts"

export const make: MakeStack = () => ({
  open: async (targets) => {
    const runtime = await createRuntime({
      servers: targets.map((target, index) => ({
        name: `server-${index}`,
        command:
          target.kind === "stdio"
            ? { kind: "stdio", command: target.command, args: [...target.args], cwd: process.cwd() }
            : { kind: "http", url: new URL(target.url) }
      }))
    })
    const names = runtime.listServers()
    await Promise.all(names.map((name) => runtime.connect(name)))
    return groupOf(
      names.map((name) => ({
        call: async (tool, args) => textOf(await runtime.callTool(name, tool, { args: { ...args } })),
        close: () => runtime.close(name)
      })),
      () => runtime.close()
    )
  },
  stop: () => Promise.resolve()
})
