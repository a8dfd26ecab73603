/** What the runner asks of one client process, and what it hears back. */
import type { StackName, WorkloadName } from "../plan.ts"
import type { Target } from "./Stack.ts"

export interface Task {
  readonly workload: WorkloadName
  readonly stack: StackName
  /** How long to warm up, and how long to measure, where a workload is bound by time. */
  readonly warmMillis: number
  readonly measureMillis: number
  /** How many open-call-close cycles, where a workload is bound by count. */
  readonly cycles: number
  /** The command of the stdio server under test. */
  readonly stdio: Extract<Target, { kind: "stdio" }>
  /** The HTTP server under test, where the workload has one. */
  readonly url: string | undefined
  /** A file to which each started server adds one byte. */
  readonly countFile: string | undefined
}

export interface Outcome {
  readonly metrics: Readonly<Record<string, number>>
  /** Processor time of the client and of the children it has waited for, in milliseconds; what is left is others'. */
  readonly spentMillis: number
}

/** The pipe on which a client process reports; stdout belongs to the stacks. */
export const reportFd = 3
