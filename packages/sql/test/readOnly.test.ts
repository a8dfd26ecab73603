import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { openReadOnly } from "../src/internal/readOnly.ts"
import { databaseOf, forbidden, forbiddenScript } from "./support/fixtures.ts"

describe("the authorizer", () => {
  const open = Effect.flatMap(databaseOf(forbiddenScript), (file) =>
    Effect.acquireRelease(
      Effect.sync(() => openReadOnly(file)),
      ({ database }) => Effect.sync(() => database.close())
    )
  )

  it.effect("refuses everything but reading", () =>
    Effect.gen(function* () {
      const { database, takeRefusal, whileRunning } = yield* open
      for (const [sql, action] of forbidden) {
        assert.throws(
          () => {
            const statement = database.prepare(sql)
            whileRunning(() => statement.all())
          },
          Error,
          undefined,
          sql
        )
        assert.match(takeRefusal() ?? "not refused", action, sql)
      }
    })
  )

  it.effect("stops what a file opened read-only would let pass, and that stops the rest", () =>
    Effect.gen(function* () {
      const { database, takeRefusal } = yield* open
      const attach = "ATTACH ':memory:' AS other"
      assert.throws(() => database.exec(attach))
      assert.match(takeRefusal() ?? "", /^ATTACH/)
      database.setAuthorizer(null)
      assert.doesNotThrow(() => database.exec("CREATE TEMP TABLE scratch (a)"))
      assert.throws(() => database.exec("DELETE FROM t"), /readonly database/)
    })
  )

  it.effect("allows what SELECT is made of", () =>
    Effect.gen(function* () {
      const { database, takeRefusal, whileRunning } = yield* open
      for (const sql of [
        "SELECT a, upper(b), count(*) OVER () FROM t WHERE b LIKE 'o%'",
        "VALUES (1), (2)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT group_concat(i) FROM n",
        "SELECT value FROM json_each('[1, 2]')",
        "SELECT name FROM sqlite_schema",
        "SELECT highlight(f, 0, '<', '>'), bm25(f), snippet(f, 0, '', '', '', 4) FROM f WHERE f MATCH 'hello'",
        "SELECT median(a), percentile(a, 50), strftime('%Y', 'now'), random() IS NOT NULL FROM t",
        "EXPLAIN QUERY PLAN SELECT * FROM t"
      ]) {
        assert.isAbove(whileRunning(() => database.prepare(sql).all()).length, 0, sql)
        assert.isUndefined(takeRefusal(), sql)
      }
    })
  )

  it.effect("tells the first refusal, once", () =>
    Effect.gen(function* () {
      const { database, takeRefusal } = yield* open
      assert.throws(() => database.prepare("CREATE TABLE u (a)"))
      assert.match(takeRefusal() ?? "", /^INSERT sqlite_master/)
      assert.isUndefined(takeRefusal())
    })
  )
})
