/** What `mcp.yaml` would hold. The second server does not exist: everything here does without it. */
import { fileURLToPath } from "node:url"

export const servers = {
  shop: { command: process.execPath, args: [fileURLToPath(new URL("shop.ts", import.meta.url))] },
  missing: { command: "no-such-program" }
}
