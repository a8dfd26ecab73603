/** What the suite consists of, and what came out of one run of it. */

export interface Run {
  readonly scenario: string
  readonly leg: string
}

/** The revisions that a client is tested against, and what lies outside of all of them. */
export const legs = ["2025-11-25", "2026-07-28", "2025-03-26", "extension"]

/**
 * The runs that the pinned release of the suite has, and the successful checks that our client comes to in them. A client
 * that leaves out what it is asked for has checks skipped, and the suite is content with that; so they are counted here.
 * The number is the client's own: who asks an authorisation server more often meets more checks.
 */
export const whole = { runs: 64, checks: 765 }

/** Reads `conformance list --client`: one line for each scenario, with the revisions it exists in. */
export const parseList = (text: string): ReadonlyArray<Run> =>
  [...text.matchAll(/^ +- (\S+) \[([^\]]+)\]$/gm)].flatMap(([, scenario = "", versions = ""]) =>
    versions
      .split(",")
      .filter((version) => legs.includes(version))
      .map((leg) => ({ scenario, leg }))
  )

export interface Check {
  readonly name: string
  readonly status: string
  readonly errorMessage?: string
}

export interface Outcome extends Run {
  readonly passed: boolean
  readonly checks: number
  /** What the scenario would have checked, had the client done it. */
  readonly skipped: ReadonlyArray<string>
  /** Why it did not pass. */
  readonly complaints: ReadonlyArray<string>
  readonly seconds: number
}

/** The suite says by its exit code whether a run passed; a failed check, a warning, a time-out or an exit code may be why. */
export const judge = (
  run: Run,
  told: {
    readonly code: number
    readonly checks: ReadonlyArray<Check>
    readonly output: string
    readonly seconds: number
  }
): Outcome => {
  const bad = told.checks.filter(({ status }) => status === "FAILURE" || status === "WARNING")
  const said = /CLIENT (TIMED OUT|EXITED WITH ERROR)[^\n]*/.exec(told.output)?.[0]
  return {
    ...run,
    passed: told.code === 0 && told.checks.length > 0,
    checks: told.checks.filter(({ status }) => status === "SUCCESS").length,
    skipped: told.checks.filter(({ status }) => status === "SKIPPED").map(({ name }) => name),
    complaints: [
      ...bad.map(({ errorMessage, name }) => (errorMessage === undefined ? name : `${name}: ${errorMessage}`)),
      ...(said === undefined ? [] : [said])
    ],
    seconds: told.seconds
  }
}

export const line = ({ checks, complaints, leg, passed, scenario, seconds, skipped }: Outcome): string =>
  [
    `${passed ? "ok  " : "FAIL"} ${leg.padEnd(10)} ${scenario.padEnd(44)} ${String(checks).padStart(2)} checks ${seconds.toFixed(1).padStart(5)} s`,
    ...(skipped.length === 0 ? [] : [`       skipped: ${skipped.join(", ")}`]),
    ...(passed ? [] : complaints.slice(0, 5).map((complaint) => `       ${complaint}`))
  ].join("\n")

/** The last line, and whether everything is as it should be; a run of some scenarios only is held to no total. */
export const total = (outcomes: ReadonlyArray<Outcome>, selected: boolean) => {
  const passed = outcomes.filter((outcome) => outcome.passed).length
  const checks = outcomes.reduce((sum, outcome) => sum + outcome.checks, 0)
  const short = !selected && (outcomes.length !== whole.runs || checks < whole.checks)
  const wanted = short ? `; ${whole.runs} runs and ${whole.checks} checks were expected` : ""
  return {
    text: `${outcomes.length} runs: ${passed} passed, ${outcomes.length - passed} failed; ${checks} checks${wanted}`,
    ok: passed === outcomes.length && outcomes.length > 0 && !short
  }
}
