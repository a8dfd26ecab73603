/** Rounds of all stacks in turn, and which of them are quiet enough to count. */
import { type StackName, stacks, type WorkloadName, workloads } from "../plan.ts"
import { outliers, rotated } from "../statistics.ts"
import { measureOnce, type Settings } from "./process.ts"

export interface Round {
  readonly figures: Readonly<Partial<Record<StackName, Readonly<Record<string, number>>>>>
  readonly failures: Readonly<Partial<Record<StackName, string>>>
  /** The largest share of the machine that others had during one of its measurements. */
  readonly others: number
}

export interface Judged extends Round {
  /** Why it does not count. */
  readonly refused: string | undefined
}

/** Share of the processors that others may take before a round is refused. */
const othersAllowed = 0.1

/** How far raw may stray from its median over the rounds. */
const rawAllowed = 0.2

export interface Plan extends Settings {
  readonly stacks: ReadonlyArray<StackName>
  readonly workloads: ReadonlyArray<WorkloadName>
  readonly rounds: number
  /** Count every round, however noisy. */
  readonly acceptNoise: boolean
  readonly tell: (line: string) => void
}

const runRound = async (plan: Plan, workload: WorkloadName, number: number): Promise<Round> => {
  const figures: Partial<Record<StackName, Readonly<Record<string, number>>>> = {}
  const failures: Partial<Record<StackName, string>> = {}
  let others = 0
  for (const stack of rotated(plan.stacks, number)) {
    try {
      const measured = await measureOnce(workload, stack, plan)
      figures[stack] = measured.metrics
      others = Math.max(others, measured.others ?? 0)
      const text = Object.entries(measured.metrics).map(([name, value]) => `${name} ${value.toPrecision(4)}`)
      plan.tell(`${workload}, round ${number + 1}, ${stacks[stack].title}: ${text.join(", ")}`)
    } catch (error) {
      failures[stack] = error instanceof Error ? error.message : String(error)
      plan.tell(`${workload}, round ${number + 1}, ${stacks[stack].title}: FAILED ${failures[stack]}`)
    }
  }
  return { figures, failures, others }
}

/** Judges the rounds of a workload against each other. */
export const judge = (
  workload: WorkloadName,
  rounds: ReadonlyArray<Round>,
  acceptNoise: boolean
): ReadonlyArray<Judged> => {
  const { judged, name } = workloads[workload].metrics[0]
  const raws = rounds.map((round) => round.figures.raw?.[name] ?? NaN)
  const stray = new Set(judged === "ratio" && rounds.length > 2 ? outliers(raws, rawAllowed) : [])
  return rounds.map((round, index) => {
    const percent = (share: number) => `${Math.round(share * 100)} %`
    const refused = acceptNoise
      ? undefined
      : round.others > othersAllowed
        ? `others took ${percent(round.others)} of the processors`
        : stray.has(index)
          ? `raw strayed more than ${percent(rawAllowed)} from its median`
          : undefined
    return { ...round, refused }
  })
}

export type Results = ReadonlyMap<WorkloadName, ReadonlyArray<Judged>>

/** Rounds wanted of a workload. */
export const wanted = (plan: Pick<Plan, "rounds">, workload: WorkloadName): number =>
  Math.min(plan.rounds, workloads[workload].maxRounds ?? Infinity)

/** Runs the rounds, then repeats those that were refused, at most as many again. */
export const runAll = async (plan: Plan): Promise<Results> => {
  const rounds = new Map<WorkloadName, Array<Round>>(plan.workloads.map((workload) => [workload, []]))
  for (let number = 0; number < 2 * plan.rounds; number++) {
    for (const [workload, done] of rounds) {
      const quiet = judge(workload, done, plan.acceptNoise).filter(({ refused }) => refused === undefined).length
      const most = 2 * wanted(plan, workload)
      if (quiet >= wanted(plan, workload) || done.length >= most) continue
      done.push(await runRound(plan, workload, number))
    }
  }
  return new Map([...rounds].map(([workload, done]) => [workload, judge(workload, done, plan.acceptNoise)]))
}
