import { openPool, ToolError } from "@scoped-mcp/handle"
import { servers } from "../servers.ts"

// Servers and a model (OPENAI_MODEL, OPENAI_BASE_URL, OPENAI_API_KEY); the end of the block closes everything.
{
  await using llm = await openPool({ servers })
  console.log(await llm.ask("What is 15 times 24?"))
}

// By hand, with a limit of our own in milliseconds; and with the life cycle in our own log.
const llm = await openPool({ servers }, { log: ({ level, message }) => console.log(`${level}: ${message}`) })
try {
  console.log(await llm.ask("What is 2 times 2?", { signal: AbortSignal.timeout(60_000) }))
  await llm.callTool({ server: "shop", tool: "price", arguments: { thing: "gold" } })
} catch (error) {
  console.log(error instanceof ToolError ? `the tool says: ${error.text}` : error)
} finally {
  await llm.close(10_000)
}

// What is open now. Nobody needs to close what is not used: see idleTimeToLive.
await using third = await openPool({ servers: { shop: { ...servers.shop, idleTimeToLive: 60 } } })
await third.warmup()
console.log(`open: ${(await third.stats()).activeServers.join(", ")}`)
