/**
 * Setup file for Vitest that switches the {@link LeakCheck} on for every test:
 * `test: { setupFiles: ["@scoped-mcp/testing/leak-check"] }`.
 *
 * A test inside a `describe` or file with `beforeAll` or `afterAll` hooks (`layer` of `@effect/vitest` makes such) shares
 * what they release; it is checked with all others at the end of its file.
 *
 * @since 0.1.0
 */
import { afterAll, beforeAll, beforeEach, type RunnerTestSuite, type TestContext, TestRunner } from "vitest"
import * as LeakCheck from "./LeakCheck.ts"

const hookCount = (suite: RunnerTestSuite): number => {
  const hooks = TestRunner.getSuiteHooks(suite)
  return hooks.beforeAll.length + hooks.afterAll.length
}

/** Our own two hooks are among those of the file. */
const ownHooks = 2

const isShared = ({ task }: TestContext): boolean => {
  for (let suite = task.suite; suite !== undefined && suite !== task.file; suite = suite.suite) {
    if (hookCount(suite) > 0) return true
  }
  return hookCount(task.file) > ownHooks
}

LeakCheck.install({
  beforeAll: (hook) => beforeAll(hook),
  beforeEach: (hook) => beforeEach<TestContext>(hook),
  afterAll: (hook) => afterAll(hook),
  isShared
})
