/** The options of `npm run bench`. What is wrong with them is told before anything is measured. */
import { parseArgs } from "node:util"
import { quickStacks, type StackName, stackNames, type WorkloadName, workloadNames, workloads } from "./plan.ts"

export interface Options {
  readonly workloads: ReadonlyArray<WorkloadName>
  readonly stacks: ReadonlyArray<StackName>
  readonly rounds: number
  readonly measureMillis: number
  readonly cycles: number
  readonly quick: boolean
  readonly acceptNoise: boolean
  readonly check: boolean
  readonly json: string | undefined
  readonly profile: string | undefined
}

const chosen = <A extends string>(
  option: string,
  known: ReadonlyArray<A>,
  given: ReadonlyArray<string> | undefined,
  otherwise: ReadonlyArray<A>
): ReadonlyArray<A> => {
  const names = given?.flatMap((list) => list.split(","))
  if (names === undefined) return otherwise
  const strange = names.filter((name) => !(known as ReadonlyArray<string>).includes(name))
  if (strange.length > 0) throw new TypeError(`--${option} ${strange.join(",")}: known are ${known.join(", ")}`)
  return known.filter((name) => names.includes(name))
}

/** A run of no rounds, or of NaN, would find everything in order. */
const count = (option: string, given: string | undefined, otherwise: number): number => {
  const value = given === undefined ? otherwise : Number(given)
  if (!Number.isInteger(value) || value < 1) throw new TypeError(`--${option} ${given}: expected a whole number from 1`)
  return value
}

export const parse = (args: ReadonlyArray<string>): Options => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      workload: { type: "string", multiple: true },
      stack: { type: "string", multiple: true },
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      "accept-noise": { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      measure: { type: "string" },
      cycles: { type: "string" },
      json: { type: "string" },
      profile: { type: "string" }
    }
  })
  const { check, json, profile, quick } = values
  const quickWorkloads = workloadNames.filter((name) => workloads[name].quick === true)
  return {
    workloads: chosen("workload", workloadNames, values.workload, quick ? quickWorkloads : workloadNames),
    stacks: chosen("stack", stackNames, values.stack, quick ? quickStacks : stackNames),
    rounds: count("rounds", values.rounds, quick ? 3 : 5),
    measureMillis: count("measure", values.measure, quick ? 250 : 1000),
    cycles: count("cycles", values.cycles, 2000),
    quick,
    // A machine of a CI is never quiet, and the short form is about ratios only.
    acceptNoise: values["accept-noise"] || quick,
    check,
    json,
    profile
  }
}
