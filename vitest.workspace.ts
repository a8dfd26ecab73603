import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

// The tests run on the sources, so that a failing line is the line to mend.
const conditions = ["@scoped-mcp/source", "node", "import", "module", "default"]

// After every test the system is asked what the test has left behind.
const leakCheck = fileURLToPath(new URL("packages/testing/src/leak-check.ts", import.meta.url))

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    testTimeout: 20_000,
    silent: "passed-only",
    reporters: process.env["CI"] === undefined ? ["default"] : ["default", ["json", { outputFile: ".ci/report.json" }]],
    projects: ["core", "node", "testing", "sql", "cli", "agent", "handle", "conformance"].map((name) => ({
      extends: true as const,
      test: { name, root: `packages/${name}`, include: ["test/**/*.test.ts"], setupFiles: [leakCheck] }
    }))
  }
})
