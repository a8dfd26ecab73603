import { openPool } from "@scoped-mcp/handle"

await using pool = await openPool({
  servers: { files: { command: "npx", args: ["mcp-server-filesystem", "."] } }
})
const result = await pool.callTool({ server: "files", tool: "list_directory", arguments: { path: "." } })
console.log(result.text)
