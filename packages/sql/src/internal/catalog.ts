/**
 * What SQLite knows about a schema, asked in single statements over its pragma
 * table functions, so that one snapshot answers.
 */

const listed = "schema = 'main' AND type IN ('table', 'view', 'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"

const kind = "CASE type WHEN 'view' THEN 'view' ELSE 'table' END"

/** One row, one cell: a JSON array of `TableSummary`. */
export const listTables = `
  SELECT json_group_array(json_object('name', name, 'kind', ${kind}, 'columns', ncol) ORDER BY name)
  FROM pragma_table_list WHERE ${listed}`

const truth = (expression: string) => `json(iif(${expression}, 'true', 'false'))`

const columns = `
  SELECT json_group_array(json_object(
    'name', name, 'type', type, 'nullable', ${truth('"notnull" = 0 AND pk = 0')}, 'primaryKey', pk, 'default', dflt_value
  ) ORDER BY cid)
  FROM pragma_table_xinfo(found.name)`

const foreignKeys = `
  SELECT json_group_array(json_object('columns', json(here), 'references', json_object('table', "table", 'columns', json(there))) ORDER BY id DESC)
  FROM (
    SELECT id, "table", json_group_array("from" ORDER BY seq) AS here, json_group_array("to" ORDER BY seq) AS there
    FROM pragma_foreign_key_list(found.name) GROUP BY id, "table")`

const indexes = `
  SELECT json_group_array(json_object(
    'name', list.name, 'unique', ${truth('list."unique"')},
    'columns', json((SELECT json_group_array(info.name ORDER BY info.seqno) FROM pragma_index_info(list.name) AS info))
  ) ORDER BY list.seq DESC)
  FROM pragma_index_list(found.name) AS list WHERE list.origin <> 'pk'`

/** One row, one cell: a JSON `TableDescription`; no row when there is no such table. Names match as SQLite matches them. */
export const describeTable = `
  SELECT json_object(
    'name', name, 'kind', ${kind},
    'columns', json((${columns})), 'foreignKeys', json((${foreignKeys})), 'indexes', json((${indexes})))
  FROM (SELECT name, type FROM pragma_table_list WHERE ${listed} AND name = ? COLLATE NOCASE) AS found`
