/** The workloads, each on one stack in a process of its own. */
import { readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import type { WorkloadName } from "../plan.ts"
import { median, slope } from "../statistics.ts"
import { liveChildren } from "./children.ts"
import type { Call, Group, Stack, Target } from "./Stack.ts"
import type { Task } from "./task.ts"

type Metrics = Readonly<Record<string, number>>

const echo: Call = { tool: "echo", args: { text: "hello, how are you?" }, length: 19 }
const blob = (bytes: number): Call => ({ tool: "blob", args: { bytes }, length: bytes })
const mebibyte = 1024 * 1024

/** Processor time of this process, all its threads, in microseconds; its children are not in it. */
const cpuMicros = (): number => {
  const { system, user } = process.cpuUsage()
  return user + system
}

const repeatFor = async (millis: number, least: number, run: () => Promise<void>) => {
  const until = performance.now() + millis
  for (let times = 0; times < least || performance.now() < until; times++) await run()
}

const once = (group: Group) => group.run({ call: echo, width: 1, calls: 1 })

/** One call after the other: the median time of a call, and what a call costs the processor. */
const oneAtATime = (call: Call, calls: number, unit: number) => async (stack: Stack, targets: Targets, task: Task) => {
  const group = await stack.open(targets(1))
  const run = (onCall?: (millis: number) => void) => group.run({ call, width: 1, calls, onCall })
  await repeatFor(task.warmMillis, 2, () => run())
  const times: Array<number> = []
  const spent = cpuMicros()
  await repeatFor(task.measureMillis, 3, () => run((millis) => times.push(millis)))
  const cpu = cpuMicros() - spent
  await group.close()
  return { p50: median(times) * unit, cpu: ((cpu / 1000) * unit) / times.length }
}

/** Many calls at once: time and processor time, divided by the number of calls. */
const atOnce =
  (servers: number, width: number, calls: number) => async (stack: Stack, targets: Targets, task: Task) => {
    const group = await stack.open(targets(servers))
    const run = () => group.run({ call: echo, width, calls })
    await repeatFor(task.warmMillis, 2, run)
    let made = 0
    const spent = cpuMicros()
    const startedAt = performance.now()
    await repeatFor(task.measureMillis, 2, async () => {
      await run()
      made += servers * width * calls
    })
    const time = performance.now() - startedAt
    const cpu = cpuMicros() - spent
    await group.close()
    return { time: (time * 1000) / made, cpu: cpu / made }
  }

/** Opens twenty servers at once in a fresh process; nothing is warm, as nothing is in a program that starts. */
const open = async (stack: Stack, targets: Targets): Promise<Metrics> => {
  const spent = cpuMicros()
  const startedAt = performance.now()
  const group = await stack.open(targets(20))
  const wall = performance.now() - startedAt
  const cpu = (cpuMicros() - spent) / 1000
  await group.close()
  return { wall, cpu }
}

const close = async (stack: Stack, targets: Targets): Promise<Metrics> => {
  const group = await stack.open(targets(20))
  await once(group)
  await sleep(200)
  const startedAt = performance.now()
  await group.close()
  const wall = performance.now() - startedAt
  return { wall, left: liveChildren() }
}

const processes = async (stack: Stack, targets: Targets, task: Task): Promise<Metrics> => {
  const servers = 5
  const group = await stack.open(targets(servers))
  await once(group)
  const alive = liveChildren() / servers
  await group.close()
  const started = readFileSync(task.countFile!).length / servers
  return { started, alive }
}

const collect = async () => {
  for (let times = 0; times < 4; times++) {
    await sleep(20)
    globalThis.gc?.()
  }
}

const heapUsed = async () => {
  await collect()
  return process.memoryUsage().heapUsed
}

/** What the heap grows by when more connections are open, have been used, and rest. */
const idleHeap =
  (servers: number) =>
  async (stack: Stack, targets: Targets): Promise<Metrics> => {
    const first = await stack.open(targets(2))
    await once(first)
    const before = await heapUsed()
    const more = await stack.open(targets(servers))
    await once(more)
    await sleep(200)
    const after = await heapUsed()
    await more.close()
    await first.close()
    return { heap: (after - before) / servers / 1024 }
  }

const samplesPerRun = 40

/** How the heap grows over many short lives of a connection, and which handles are left at the end. */
const cycles =
  (share: number) =>
  async (stack: Stack, targets: Targets, task: Task): Promise<Metrics> => {
    const count = Math.max(samplesPerRun, Math.round(task.cycles * share))
    const handles = process.getActiveResourcesInfo().length
    const times: Array<number> = []
    const cycle = async () => {
      const startedAt = performance.now()
      const group = await stack.open(targets(1))
      await once(group)
      await group.close()
      times.push(performance.now() - startedAt)
    }
    const points: Array<readonly [number, number]> = []
    const every = Math.floor(count / samplesPerRun)
    for (let done = 1; done <= count; done++) {
      await cycle()
      // The first half compiles code and fills caches.
      if (done % every === 0 && done > count / 2) points.push([done, await heapUsed()])
    }
    await stack.stop()
    const left = () => Math.max(0, process.getActiveResourcesInfo().length - handles)
    // A socket or a timer on its way out is not left behind.
    for (let waits = 0; waits < 20 && left() > 0; waits++) await sleep(100)
    return { slope: slope(points), handles: left(), cycle: median(times) }
  }

type Targets = (count: number) => ReadonlyArray<Target>

type Measure = (stack: Stack, targets: Targets, task: Task) => Promise<Metrics>

/** All but `start`, which has a program of its own. */
const measures: Readonly<Record<Exclude<WorkloadName, "start">, Measure>> = {
  "stdio-one": oneAtATime(echo, 200, 1000),
  "http-one": oneAtATime(echo, 100, 1000),
  "stdio-64": atOnce(1, 64, 100),
  "http-64": atOnce(1, 64, 10),
  "stdio-10x8": atOnce(10, 8, 100),
  "stdio-1m": oneAtATime(blob(mebibyte), 10, 1),
  "http-1m": oneAtATime(blob(mebibyte), 10, 1),
  "stdio-8m": oneAtATime(blob(8 * mebibyte), 2, 1),
  "open-20": open,
  "open-20-slow": open,
  "close-20": close,
  processes,
  "heap-stdio": idleHeap(20),
  "heap-http": idleHeap(50),
  "cycles-stdio": cycles(0.1),
  "cycles-http": cycles(1)
}

export const measure = (stack: Stack, task: Task): Promise<Metrics> => {
  if (task.workload === "start") throw new Error("`start` is measured from outside")
  const target: Target = task.url === undefined ? task.stdio : { kind: "http", url: task.url }
  return measures[task.workload](stack, (count) => Array.from({ length: count }, () => target), task)
}
