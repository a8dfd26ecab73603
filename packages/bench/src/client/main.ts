/** One client process: one stack, one workload. */
import { writeSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { stacks } from "../plan.ts"
import { liveChildren, spentMillis } from "./children.ts"
import { measure } from "./measure.ts"
import type { MakeStack } from "./Stack.ts"
import { type Outcome, reportFd, type Task } from "./task.ts"

const task = JSON.parse(process.argv[2] ?? "") as Task
const { make } = (await import(`../stacks/${stacks[task.stack].module}.js`)) as { readonly make: MakeStack }
const stack = make()
const metrics = await measure(stack, task)
await stack.stop()
// Not every stack waits for its servers, and only those that have ended count as ours.
for (let waits = 0; waits < 40 && liveChildren() > 0; waits++) await sleep(50)
await sleep(5)
const outcome: Outcome = { metrics, spentMillis: spentMillis("self") }
writeSync(reportFd, JSON.stringify(outcome))
process.exit(0)
