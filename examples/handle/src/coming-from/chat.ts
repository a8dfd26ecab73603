import { openPool } from "@scoped-mcp/handle"
import { servers } from "../servers.ts"

// By hand.
const pool = await openPool({ servers })
const chat = await pool.chat({ instructions: "You sell tea." })
try {
  console.log(await chat.ask("What does tea cost?"))
  console.log(await chat.ask("And two of it?"))
} finally {
  await pool.close()
}
// The conversation is forgotten, and a use of it is an error that says so.
console.log(await chat.ask("Are you still there?").catch((error: Error) => error.message))

// By blocks: several side by side, each with servers, connections and memory of its own.
{
  await using first = await openPool({ servers })
  await using second = await openPool({ servers })
  await using one = await first.chat()
  await using other = await second.chat()
  console.log(await Promise.all([one.ask("What does tea cost?"), other.ask("What does milk cost?")]))
}

// Ended though the body failed.
const failing = async () => {
  await using pool = await openPool({ servers })
  await pool.warmup()
  throw new Error("the body failed")
}
console.log(await failing().catch((error: Error) => error.message))
