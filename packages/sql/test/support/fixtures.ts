import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Effect } from "effect"

/** Counts for ever. */
export const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

/** A directory that goes with the scope. */
export const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "scoped-mcp-sql-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/** A database made by a script, writable to its owner, which goes with the scope. */
export const databaseOf = (script: string) =>
  Effect.map(temporaryDirectory, (directory) => {
    const file = join(directory, "test.sqlite")
    const database = new DatabaseSync(file)
    database.exec(script)
    database.close()
    return file
  })

/** What SQLite refuses to a reader, each with what the authorizer must have seen. */
export const forbidden: ReadonlyArray<readonly [sql: string, action: RegExp]> = [
  ["INSERT INTO t VALUES (9, 'x')", /^INSERT t/],
  ["/* SELECT */ INSERT INTO t VALUES (9, 'x') -- SELECT", /^INSERT t/],
  ["WITH x AS (SELECT 1) INSERT INTO t SELECT 9, 'x' FROM x", /^INSERT t/],
  ["REPLACE INTO t VALUES (1, 'x')", /^INSERT t/],
  ["UPDATE t SET b = 'x'", /^UPDATE t b/],
  ["DELETE FROM t RETURNING *", /^DELETE t/],
  ["EXPLAIN DELETE FROM t", /^DELETE t/],
  ["CREATE TABLE u (a)", /^INSERT sqlite_master/],
  ["CREATE TEMP TABLE u (a)", /^INSERT sqlite_temp_master/],
  ["CREATE TEMP TABLE u AS SELECT * FROM t", /^INSERT sqlite_temp_master/],
  ["CREATE VIEW w AS SELECT 1", /^INSERT sqlite_master/],
  ["CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END", /^CREATE TRIGGER r t/],
  ["CREATE VIRTUAL TABLE u USING fts5(a)", /^INSERT sqlite_master/],
  ["CREATE INDEX u ON t (b)", /^INSERT sqlite_master/],
  ["DROP TABLE t", /^DELETE sqlite_master/],
  ["ALTER TABLE t RENAME TO u", /^ALTER TABLE main t/],
  ["REINDEX", /^REINDEX/],
  ["ANALYZE", /^(ANALYZE|INSERT)/],
  ["INSERT INTO f (f) VALUES ('optimize')", /^INSERT f/],
  ["ATTACH 'other.sqlite' AS other", /^ATTACH other.sqlite/],
  ["ATTACH ':memory:' AS other", /^ATTACH :memory:/],
  ["DETACH main", /^DETACH main/],
  ["PRAGMA user_version", /^PRAGMA user_version/],
  ["PRAGMA user_version = 3", /^PRAGMA user_version 3/],
  ["PRAGMA data_version", /^PRAGMA data_version/],
  ["PRAGMA query_only = 0", /^PRAGMA query_only 0/],
  ["SELECT * FROM pragma_table_info('t')", /^PRAGMA table_info t/],
  ["SELECT * FROM pragma_journal_mode", /^PRAGMA journal_mode/],
  ["SELECT * FROM pragma_optimize", /^PRAGMA optimize/],
  ["SELECT * FROM pragma_data_version", /^PRAGMA data_version/],
  ["PRAGMA main.data_version", /^PRAGMA data_version/],
  ["BEGIN", /^TRANSACTION BEGIN/],
  ["COMMIT", /^TRANSACTION COMMIT/],
  ["SAVEPOINT s", /^SAVEPOINT BEGIN s/],
  ["SELECT load_extension('x')", /^FUNCTION load_extension/],
  ["SELECT 1 WHERE LOAD_EXTENSION('x') IS NULL", /^FUNCTION load_extension/],
  ["SELECT fts3_tokenizer('simple')", /^FUNCTION fts3_tokenizer/],
  ["SELECT optimize(f) FROM f", /^FUNCTION optimize/],
  ["SELECT rtreecheck('t')", /^FUNCTION rtreecheck/]
]

/** Statements the authorizer does not see when they compile. */
export const forbiddenOtherwise: ReadonlyArray<readonly [sql: string, action: RegExp]> = [
  ["VACUUM", /^a statement that returns no rows$/],
  ["VACUUM INTO 'copy.sqlite'", /^a statement that returns no rows$/],
  ["SELECT 1; SELECT 2", /^a second statement$/],
  ["SELECT 1; DELETE FROM t", /^a second statement$/],
  ["SELECT 1; nonsense", /^a second statement$/],
  ["SELECT 1 /* ; */; -- ;\nVALUES (1)", /^a second statement$/]
]

export const forbiddenScript = `
  CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT);
  INSERT INTO t VALUES (1, 'one'), (2, 'two');
  CREATE VIRTUAL TABLE f USING fts5(body);
  INSERT INTO f VALUES ('hello world');
`
