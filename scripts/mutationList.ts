/**
 * The safeties of the product, each broken in one place. `find` stands exactly once in its file; `projects` and `tests`
 * are the least that should notice.
 */
export interface Mutation {
  /** The safety, and how it fails then. */
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
  readonly projects: ReadonlyArray<string>
  /** Files of tests, so that a run is short. */
  readonly tests: ReadonlyArray<string>
  /** A part of the titles of those that are run; all of the files otherwise. */
  readonly title?: string | undefined
}

type Change = readonly [name: string, find: string, replace: string, title?: string]

/** Changes of one file that the same tests should notice. */
const within = (project: string, file: string, tests: ReadonlyArray<string>, changes: ReadonlyArray<Change>) => {
  const about = {
    file: `packages/${project}/src/${file}`,
    projects: [project],
    tests: tests.map((test) => `test/${test}.test.ts`)
  }
  return changes.map(([name, find, replace, title]): Mutation => ({ ...about, name, find, replace, title }))
}

export const mutations: ReadonlyArray<Mutation> = [
  // Processes
  ...within(
    "node",
    "internal/Tree.ts",
    ["NodeProcessOwner"],
    [
      [
        "processes: the group is not signalled",
        "if (isOurs(seen.inGroup(leader))) kill(-leader, signal)",
        "",
        "with manners"
      ],
      [
        "processes: helpers outside the group are not signalled",
        "if (one.group !== leader) kill(one.pid, signal)",
        ";",
        "with manners"
      ],
      [
        "processes: descendants are not followed",
        "for (const child of seen.childrenOf(one.pid)) visit(child)",
        "",
        "with manners"
      ],
      ["processes: marks are not looked for", "seen.carrying(mark).forEach(visit)", "", "with manners"],
      [
        "processes: none is found while no file can be opened",
        "seen === undefined ? Number(groupExists()) :",
        "seen === undefined ? 0 :",
        "no more files"
      ]
    ]
  ),
  ...within(
    "node",
    "internal/Tree.ts",
    ["ProcessTable"],
    [["processes: the number of an ended group is taken for ours", "leading || group.some(", "true || group.some("]]
  ),
  ...within(
    "node",
    "NodeProcessOwner.ts",
    ["NodeProcessOwner"],
    [
      [
        "processes: the scope ends nothing",
        "({ stop }) => stop",
        "() => Effect.void",
        "the worst server after success"
      ],
      ["processes: what outlives its layer is not killed", "        killAll()\n", "", "layer ends first"],
      ["processes: no mark in the environment", ", [ProcessMark.variable]: marks }", " }", "with manners"],
      ["processes: no group of its own", "detached: true", "detached: false", "lived on after"]
    ]
  ),
  ...within(
    "node",
    "internal/stopTree.ts",
    ["NodeProcessOwner"],
    [
      ["processes: no end of input", "    endInput()", "    ", "with manners"],
      ["processes: no TERM", 'tree.signal(survey.now(), "SIGTERM")', "", "with manners"],
      ["processes: no KILL", '(seen) => tree.signal(seen, "SIGKILL")', "tree.alive", "with manners"]
    ]
  ),
  ...within(
    "node",
    "internal/environment.ts",
    ["NodeProcessOwner"],
    [
      ["environment: the policy passes everything", 'policy === "all" ?', "true ?", "the policy names"],
      ["environment: `none` passes the minimum", 'policy === "none" ? {} :', "false ? {} :", "the policy names"]
    ]
  ),
  ...within(
    "node",
    "NodeProcessOwner.ts",
    ["runMain"],
    [["processes: nothing is killed at `process.exit`", 'process.on("exit", killAll)', "", "program ends by"]]
  ),
  ...within("node", "NodeProcessOwner.ts", ["Guard"], [["guard: it is not told of groups", "guard.watch(pid)", ""]]),
  ...within(
    "node",
    "Guard.ts",
    ["Guard"],
    [
      [
        "guard: groups are not ended",
        'for group in $groups; do kill -s "$1" -- "-$group"',
        "for group in $groups; do false"
      ],
      ["guard: marked processes are not ended", "for process in $(marked); do kill", "for process in; do kill"],
      ["guard: no KILL", "\nend KILL\n", "\n"],
      ["guard: an ended group is not forgotten", "tell(`- ${group}`)", ""],
      ["guard: it ends at the terminal's signals", "trap '' INT TERM HUP", ""],
      ["guard: another one is not started", "        start()\n      } else", "      } else"],
      [
        "guard: another one is not told of the groups",
        "for (const group of groups) tell(",
        "for (const group of []) tell("
      ],
      ["guard: it outlives the last group", "return groups.size === 0 ? dismiss : Effect.void", "return Effect.void"],
      ["guard: a frozen one holds up the close", 'child.kill("SIGKILL")', "child.stdin?.end()", "while it is frozen"],
      ["guard: old deaths count for ever", "now - at < memory", "true", "four deaths"]
    ]
  ),
  ...within(
    "node",
    "runMain.ts",
    ["runMain"],
    [
      ["runMain: a second signal waits as the first", "if (again) process.exit(exitCode)", "", "second signal"],
      [
        "runMain: signals that come together count as two",
        "now - signalledAt > sameSignal",
        "signalledAt > 0",
        "come together"
      ],
      ["runMain: SIGHUP is not handled", ", SIGHUP: 129 }", " }", "ends everything at"],
      [
        "runMain: an uncaught error releases nothing",
        'process.on("uncaughtException", onError)',
        "",
        "program ends by"
      ],
      [
        "runMain: the release has no limit",
        "setTimeout(() => process.exit(exitCode), shutdownTimeout).unref()",
        "",
        "a release never does"
      ]
    ]
  ),
  ...within(
    "node",
    "NodeHttpDispatcher.ts",
    ["NodeHttpDispatcher"],
    [
      ["http: sockets outlive the layer", "await (await loading)?.destroy()", ""],
      ["http: an aborted request goes on", 'abort?.(new Error("aborted"))', ""],
      [
        "http: a failed request is always called unsent",
        'abort === undefined ? "NotSent" : "OutcomeUnknown"',
        '"NotSent"'
      ]
    ]
  ),

  // Calls
  ...within(
    "core",
    "CallEngine.ts",
    ["McpConnection"],
    [
      ["call: an interruption is not told the server", 'if (leave()) cancel?.("cancelled by the caller")', "leave()"],
      ["call: a timeout is not told the server", 'cancel?.("timed out")', ""],
      ["call: progress does not re-arm the idle limit", "          heardAt = wheel.now()", ""],
      ["call: no ceiling", 'Duration.toMillis(span("timeout", options?.timeout, limits.callTimeout))', "Infinity"],
      [
        "call: no idle limit",
        'Duration.toMillis(span("idleTimeout", options?.idleTimeout, limits.callIdleTimeout))',
        "Infinity"
      ],
      [
        "call: the loss of the line fails nothing",
        "for (const call of pending.values()) fail(",
        "for (const call of []) fail("
      ],
      ["call: it is sent on a lost line", "if (closed !== undefined) return", "if (false) return"],
      ["call: what was handed over is called unsent", '(handed ? "OutcomeUnknown" : "NotSent")', '"NotSent"'],
      ["call: no limit of bytes", "if (exceeds(body, limits.maxRequestBytes))", "if (false)"],
      [
        "call: bytes are counted as characters",
        " || (text.length * 3 > limit && new TextEncoder().encode(text).length > limit)",
        ""
      ],
      ["secrets: the text of a refusal", "scrub(message)", "message"],
      ["secrets: the data of a refusal", 'Redaction.deep(scrub)(error["data"])', 'error["data"]']
    ]
  ),
  ...within(
    "core",
    "McpConnection.ts",
    ["McpConnection"],
    [
      ["secrets: the text of a tool's error", "text: scrub(result.text)", "text: result.text"],
      ["secrets: the result of a tool's error", "result: scrubbed(raw)", "result: raw"],
      ["connection: no connectTimeout", "duration: limits.connectTimeout,", 'duration: "1 day",'],
      [
        "connection: a slow reader of notifications costs memory",
        "PubSub.sliding<Notification>(",
        "PubSub.sliding<Notification>(100 * "
      ]
    ]
  ),
  ...within(
    "core",
    "internal/Listing.ts",
    ["Listing"],
    [
      ["connection: a listing has no limit of items", "items.length === listing.maxItems", "false"],
      [
        "connection: a listing has no limit of pages",
        "read.size === listing.maxPages",
        "read.size === 2 * listing.maxPages"
      ],
      ["connection: each page has a limit of its own", "undefined, { startedAt }", "undefined, {}"],
      ["connection: a cursor that comes again is read again", "if (read.has(next))", "if (false)"]
    ]
  ),

  // Wires
  ...within(
    "core",
    "internal/StdioWire.ts",
    ["internal/StdioWire", "McpConnection"],
    [
      ["stdio: a line that is no message ends the line", "noise.heard(text)", 'end("noise")'],
      ["stdio: an answer over the limit that nobody asked for is ignored", "end(`it sent", "void (`it sent"],
      [
        "stdio: what waits to be sent has no limit of bytes",
        "if (queuedSize > config.limits.maxMessageBytes)",
        "if (false)"
      ],
      ["stdio: a full pipe is written to", "if (!full) return write(queued)", "if (true) return write(queued)"],
      [
        "stdio: a cancelled call is sent from the queue",
        "if (unqueue(queued) || line.isClosed()) return",
        "if (line.isClosed()) return"
      ],
      [
        "secrets: stderr in a lost connection",
        "stderr: scrub(stderr.text(10)),\n        delivery",
        "stderr: stderr.text(10),\n        delivery"
      ],
      [
        "secrets: stderr in diagnostics",
        "stderr: scrub(stderr.text(10)),\n      noiseCount",
        "stderr: stderr.text(10),\n      noiseCount"
      ]
    ]
  ),
  ...within(
    "core",
    "internal/Noise.ts",
    ["internal/StdioWire", "McpConnection"],
    [["secrets: noise", "first.push(scrub(text)", "first.push(text"]]
  ),
  ...within(
    "core",
    "internal/frames.ts",
    ["internal/frames", "internal/StdioWire"],
    [
      [
        "stdio: an id in the data is taken for that of the answer",
        "`,\\s*${id}\\s*(?:,\\s*${version}\\s*)?\\}\\s*$`",
        "`${id}`"
      ],
      ["stdio: the id of a request is taken for that of an answer", '"(?:result|error)"', '"\\w+"']
    ]
  ),
  ...within(
    "core",
    "internal/FrameBuffer.ts",
    ["internal/LineFramer", "internal/StdioWire"],
    [["stdio: a message has no limit of bytes", "if (size <= limit) return", "return"]]
  ),
  ...within(
    "core",
    "internal/StderrTail.ts",
    ["internal/StderrTail"],
    [["stdio: a flood on stderr is kept", "if (size > 2 * limit || parts.length > 1024) {", "if (false) {"]]
  ),
  ...within(
    "core",
    "internal/TransportWire.ts",
    ["internal/TransportWire", "McpConnection"],
    [
      ["transport: its scope does not close it", "yield* Effect.addFinalizer(() => stop)", ""],
      ["transport: its close has no limit", "duration: source.limits.closeTimeout,", 'duration: "1 day",']
    ]
  ),
  ...within(
    "core",
    "internal/HttpWire.ts",
    ["internal/HttpWire", "internal/HttpWire.stream", "internal/HttpWire.modern", "internal/HttpWire.handshake"],
    [
      [
        "http: the session is not ended",
        "const sessions = session.isModern() ? [] : session.held",
        "const sessions: Array<string> = []"
      ],
      [
        "http: the end of the session has no limit",
        "Effect.timeoutOption(Duration.min(sessionDeleteTimeout, config.limits.closeTimeout)),",
        ""
      ],
      ["http: its scope does not end the session", "yield* Effect.addFinalizer(() => stop)", ""],
      ["http: 404 is no end of the session", "status === 404 && session.id()", "false && session.id()"],
      ["http: a cancelled call is not told the server", "notify(cancelled(frame.id, why))", ""],
      ["http: a cancelled call of 2026 is told twice", "|| session.isModern() || !handed", "|| !handed"],
      ["http: the stream of a cancelled call goes on", "      abort()\n      // The end", "      // The end"],
      ["http: an ended line leaves its streams open", "for (const abort of running) abort()", ""],
      ["http: the SDK is not told of the end", "queueMicrotask(() => faces.closed())", ""]
    ]
  ),
  ...within(
    "core",
    "internal/HttpExchange.ts",
    ["internal/HttpWire", "internal/HttpWire.resume", "internal/HttpWire.handshake"],
    [
      ["http: an answer has no limit of bytes", 'else if (size > line.limit) fault({ _tag: "TooLarge" })', ""],
      [
        "http: a refused response is read on",
        "    stop()\n    listener.onFault(fault)",
        "    close()\n    listener.onFault(fault)"
      ],
      ["http: a stream stays open after its answer", "if (!over && listener.isSettled()) linger()", ""],
      [
        "http: a cut answer is not asked for again",
        "if (cursor?.lastEventId === undefined ||",
        "if (cursor === undefined || cursor.retry !== 1 ||"
      ],
      [
        "http: a cut answer leaves its call waiting",
        'if (!over) lost("the answer ended before the result", "OutcomeUnknown", false)',
        ""
      ]
    ]
  ),
  ...within(
    "core",
    "internal/HttpFault.ts",
    ["internal/HttpWire", "internal/HttpWire.handshake", "internal/HttpWire.modern"],
    [
      ["secrets: the content type of an answer", 'is "${scrub(fault.type)}"`,', 'is "${fault.type}"`,'],
      ["secrets: the failure of a socket", "detail: scrub(fault.detail),", "detail: fault.detail,"],
      ["secrets: the body of a refusal", 'body === undefined ? "" : scrub(body)', 'body === undefined ? "" : body']
    ]
  ),
  ...within(
    "core",
    "internal/HttpAuth.ts",
    ["internal/HttpWire"],
    [["secrets: the challenge of a server", "scrub(challenge)", "challenge"]]
  ),
  ...within(
    "core",
    "internal/AuthorisedSend.ts",
    ["internal/HttpSend"],
    [
      ["http: a call that was given up is sent again with new credentials", "    ended = true\n    abort()", ""],
      [
        "http: refused credentials are renewed for ever",
        "if (refusals++ === mostRefusals) {",
        "if (refusals++ === 1e9) {"
      ]
    ]
  ),
  ...within(
    "core",
    "internal/httpRedirect.ts",
    ["internal/HttpWire", "internal/HttpWire.handshake"],
    [["http: a redirect to elsewhere is followed", "to.origin === url.origin ? to : undefined", "to"]]
  ),
  ...within(
    "core",
    "internal/EventStream.ts",
    ["internal/HttpWire.stream"],
    [
      ["http: streams are opened again without a least pause", "minimum: least,", "minimum: Duration.zero,"],
      ["http: a server sets a pause without end", "maximum: Duration.minutes(1)", "maximum: Duration.infinity"],
      ["http: streams are opened again all at the same time", "1 + random / 4", "1 + random * 0"]
    ]
  ),
  ...within(
    "core",
    "internal/ServerStream.ts",
    ["internal/HttpWire.stream"],
    [
      [
        "http: a lost stream does not come back",
        'if (end._tag !== "Refused") return false',
        'if (end._tag !== "Refused") return true'
      ],
      ["http: a lost stream is not to be seen", 'status = { state: "Reopening",', 'status = { state: "Open",'],
      ["secrets: what became of a stream", "options.scrub(end.detail)", "end.detail"]
    ]
  ),
  ...within(
    "core",
    "internal/SseWire.ts",
    ["internal/SseWire"],
    [
      ["sse: messages go to another origin", "new URL(data, url).origin === url.origin", "true"],
      ["sse: a lost stream leaves its calls waiting", "end(`its event stream was lost: ${scrub(how.detail)}`)", ""],
      ["sse: its stream stays open", "running.add(() => fiber.interruptUnsafe())", ""]
    ]
  ),

  // Places
  ...within(
    "core",
    "internal/Admission.ts",
    ["internal/Admission"],
    [
      ["places: the queue has no bound", " || waiters.size() >= limits.maxWaiting", ""],
      ["places: one is lost when its wait is interrupted", "if (waiter.granted) leave()", ""],
      [
        "places: who was interrupted stays in the queue",
        "        disarm()\n        waiters.remove(waiter)\n",
        "        disarm()\n"
      ],
      ["places: whose time is over stays in the queue", "if (waiters.remove(waiter)) {", "if (true) {"]
    ]
  ),
  ...within(
    "core",
    "internal/Places.ts",
    ["internal/Admission"],
    [
      [
        "places: who came last is served first",
        "const [first] = queue ?? []",
        "const first = [...(queue ?? [])].at(-1)"
      ],
      ["places: more run than may", "running >= max || ", ""]
    ]
  ),
  ...within(
    "core",
    "internal/Borrowing.ts",
    ["McpPool"],
    [
      [
        "places: an interruption frees none",
        "            giveBack(it)\n          })",
        "            if (Exit.isSuccess(exit) || error !== undefined) giveBack(it)\n          })"
      ],
      ["places: a failed open keeps the server's", ".pipe(Effect.onError(() => Effect.sync(leavePlace)))", ""],
      ["places: a second open that fails keeps the pool's", "() => Effect.sync(pool.gate.leave)", "() => Effect.void"],
      ["places: a lease keeps its own", "                giveBack(it)\n", ""]
    ]
  ),

  // A server of a pool
  ...within(
    "core",
    "internal/Borrowing.ts",
    ["McpPool", "McpPool.close"],
    [
      ["slot: what may have run is sent again", 'error.delivery === "NotSent" && ', ""],
      ["slot: what was not sent is not sent again", "Effect.catchIf(once, sendAgain, () => once)", "once"],
      [
        "slot: a retired connection is lent",
        "if ((it.retired || !connections.isFree(it)) && !it.lost) return",
        "if (false) return"
      ]
    ]
  ),
  ...within(
    "core",
    "internal/Connections.ts",
    ["McpPool", "McpPool.close"],
    [
      ["slot: an idle connection stays open", "if (it !== current || it.users > 0 || keepAlive) return", "return"],
      ["slot: a call does not re-arm the idle time", "if (it.users++ === 0) disarmIdle()", "it.users++"],
      ["slot: keepAlive is ignored", "let keepAlive = limits.keepAlive", "let keepAlive = false"],
      ["slot: warming up does not keep", "      keepAlive = true\n", ""],
      ["slot: a retired connection closes under its calls", "if (it.users === 0) release(it)", "if (true) release(it)"]
    ]
  ),
  ...within(
    "core",
    "internal/Opening.ts",
    ["McpPool", "McpPool.close"],
    [
      ["slot: each first user opens a connection", "if (attempt !== undefined) return Deferred.await(attempt)", ""],
      ["slot: the next attempt does not wait for the teardown", "[...building, ...host.before()]", "[]"],
      [
        "slot: a layer of the user's may build for ever",
        "const grace = source._tag",
        "return () => {}\n    const grace = source._tag"
      ],
      ["slot: a connection that comes too late is kept", "if (attempt !== mine) return host.release(it)", ""]
    ]
  ),
  ...within(
    "core",
    "internal/SlotStatus.ts",
    ["McpPool", "McpPool.close"],
    [
      ["slot: a disabled server is started", "      if (source.disabled !== undefined) {", "      if (false) {"],
      ["slot: a suspended server is called", "return suspended ? new", "return false ? new"]
    ]
  ),
  ...within(
    "core",
    "internal/ServerSlot.ts",
    ["McpPool", "McpPool.close"],
    [
      ["slot: a lost connection is met again", "if (Borrowing.sendAgain(error)) onUnsent(it, error)", ""],
      ["slot: a loss counts twice", "if (it.lost || it.closing) return", ""],
      ["slot: an attempt goes on after the end", "yield* opening.interrupt\n          return", "return"]
    ]
  ),
  ...within(
    "core",
    "internal/ServerLists.ts",
    ["McpPool", "McpPool.close"],
    [
      [
        "catalog: a change of lists is ignored",
        "if (!listChanged.has(method)) return Effect.void",
        "return Effect.void"
      ],
      ["catalog: a list of an ended connection is not stale", "{ ...lists.catalog, stale: true }", "lists.catalog"],
      [
        "catalog: a change during the first reading is missed",
        "changes === changesBefore ? offeredBy(it) : undefined",
        "offeredBy(it)"
      ]
    ]
  ),
  ...within(
    "core",
    "internal/RestartPolicy.ts",
    ["McpPool.recovery"],
    [
      [
        "restart: pauses do not grow",
        "Schedule.exponential(backoff)",
        "Schedule.spaced(backoff)",
        "connects and exits"
      ],
      ["restart: pauses have no ceiling", "Schedule.spaced(maxBackoff)", 'Schedule.spaced("1 day")', "no giving up"],
      ["restart: the circuit never opens", "open ||= full", "open = false", "three failures"],
      [
        "restart: connecting alone makes all forgotten",
        "failure.lasted >= Duration",
        "1 / 0 >= Duration",
        "connects and"
      ],
      [
        "restart: health makes nothing forgotten",
        "Duration.toMillis(limits.resetAfter)) reset()",
        "Infinity) reset()",
        "health"
      ],
      ["restart: a server that hangs is never counted", "attempted += failure.attempted", "attempted += 0", "hangs"]
    ]
  ),
  ...within(
    "core",
    "internal/Supervision.ts",
    ["McpPool.recovery"],
    [
      [
        "supervision: nothing is opened again by itself",
        "isWanted()) return reopen()",
        "false) return reopen()",
        "to stay open"
      ],
      [
        "supervision: what nobody needs is opened again",
        "const isWanted = () => (",
        "const isWanted = () => (true || ",
        "nobody"
      ],
      [
        "supervision: calls open the server all the same",
        "if (left === undefined || last",
        "if (true || last",
        "three failures"
      ]
    ]
  ),
  ...within(
    "core",
    "internal/HealthWatch.ts",
    ["McpPool.health"],
    [
      ["health: a check waits for ever", "duration: timeout,", 'duration: "1 day",', "replace a frozen"],
      ["health: calls without an answer are no sign", "      silent++\n      run(it)\n", "", "come at once"],
      [
        "health: our short limits count",
        "      silent = 0\n      host.onHealthy()",
        "      host.onHealthy()",
        "too short"
      ]
    ]
  ),
  ...within(
    "core",
    "internal/Lease.ts",
    ["McpPool"],
    [["lease: it does not end", "ended ? new McpError", "false ? new McpError", "given back"]]
  ),
  ...within(
    "core",
    "ServerStatus.ts",
    ["ServerStatus"],
    [
      [
        "status: a server is ready without connecting",
        'Idle: ["Connecting", "Closing"]',
        'Idle: ["Connecting", "Closing", "Ready"]'
      ],
      [
        "status: a closed server can connect",
        'Closed: ["Idle", "Disabled"]',
        'Closed: ["Idle", "Disabled", "Connecting"]'
      ]
    ]
  ),

  // The pool
  ...within(
    "core",
    "internal/Pool.ts",
    ["McpPool.close", "McpPool"],
    [
      [
        "pool: servers close one after the other",
        "Dependencies.dependentsFirst(all, ({ slot }) => slot.shutDown(to))",
        "Effect.forEach(all, ({ slot }) => slot.shutDown(to))"
      ],
      [
        "pool: the close has no limit",
        "Effect.timeoutOption(ended, Duration.times(limit, 1.1))",
        "Effect.asSome(ended)"
      ],
      ["pool: its scope does not close it", "yield* Effect.addFinalizer(() => close)", ""],
      ["pool: a second close does not wait", 'ending.withPermits(1)(end("Closed"))', 'end("Closed")'],
      ["pool: removed servers are not closed with it", "[...slots.values(), ...discarded]", "[...slots.values()]"],
      [
        "pool: a closed pool takes servers",
        'Effect.suspend(() => (state === "Closed" ? closedError(server) : Effect.void))',
        "Effect.void"
      ],
      ["pool: a slow reader of events costs memory", "PubSub.sliding<PoolEvent>(", "PubSub.sliding<PoolEvent>(100 * "]
    ]
  ),

  // Configuration
  ...within(
    "core",
    "ServerConfig.ts",
    ["ServerConfig"],
    [
      [
        "secrets: arguments in the name of a server",
        '(typeof arg === "string" ? arg : "<redacted>")',
        '(typeof arg === "string" ? arg : Redacted.value(arg))'
      ],
      ["secrets: the query in the name of a server", "`${url.origin}${url.pathname}`", "url.href"],
      ["secrets: a header without its scheme", "[secret, ...secret.split(/\\s+/).slice(1)]", "[secret]"]
    ]
  ),
  ...within(
    "core",
    "internal/redaction.ts",
    ["internal/redaction"],
    [
      ["secrets: one inside another", "b.length - a.length", "a.length - b.length"],
      ["secrets: names in data", "[scrub(key), walk(inner)]", "[key, walk(inner)]"]
    ]
  ),
  ...within(
    "core",
    "internal/configVariables.ts",
    ["ConfigFile"],
    [["secrets: the value of a variable", "secret ? Redacted.make(value) : value", "value"]]
  ),
  ...within(
    "core",
    "ConfigFile.ts",
    ["ConfigFile"],
    [
      [
        "secrets: what stands in a broken file",
        '/ at position \\d+.*$/.exec(String(error))?.[0] ?? ""',
        "String(error)"
      ],
      ["configuration: a file has no limit of bytes", "if (content.length > maxBytes) return", "if (false) return"]
    ]
  ),

  // SQL
  ...within(
    "sql",
    "internal/readOnly.ts",
    ["readOnly"],
    [
      ["sql: writing is allowed", "return constants.SQLITE_DENY", "return constants.SQLITE_OK"],
      ["sql: the file is open for writing", "readOnly: true", "readOnly: false"],
      ["sql: every function is allowed", 'return functions.has(detail ?? "")', "return true"]
    ]
  ),
  ...within(
    "sql",
    "SqliteDatabase.ts",
    ["SqliteDatabase"],
    [
      [
        "sql: a query has no limit of time",
        "              duration: timeout,",
        '              duration: "1 day",',
        "time limit"
      ],
      [
        "sql: a query that is given up goes on",
        "Effect.onError(() => Pool.invalidate(pool, process))",
        "Effect.onError(() => Effect.void)",
        "killed"
      ]
    ]
  ),

  // Tenants and exclusive servers
  ...within(
    "core",
    "McpNamespaces.ts",
    ["McpNamespaces.isolation", "McpNamespaces"],
    [
      [
        "namespaces: two tenants share a pool",
        "map.contextEffect(namespace))",
        'map.contextEffect(namespace === "tenant-007" ? "tenant-008" : namespace))',
        "tenants-0"
      ],
      [
        "namespaces: a pool gets the context of whoever comes first",
        "Context.add(base, Scope.Scope, Context.get(caller, Scope.Scope))",
        "Context.merge(base, caller)",
        "lends a pool nothing"
      ],
      [
        "namespaces: the successor of a pool does not wait",
        "if (before !== undefined) yield* Deferred.await(before.gone)",
        "",
        "its successor opens nothing"
      ]
    ]
  ),
  ...within(
    "core",
    "internal/Places.ts",
    ["McpNamespaces"],
    [
      [
        "places: the longest queue is served first",
        "if (queue.size > 0) turns.add(queue)",
        "if (queue.size > 0) { const rest = [...turns]; turns.clear(); turns.add(queue); for (const it of rest) turns.add(it) }",
        "in turns"
      ]
    ]
  ),
  ...within(
    "core",
    "internal/Exclusive.ts",
    ["McpPool.exclusive"],
    [
      ["exclusive: a connection is lent twice", "        takeOut(it)\n        it.users++", "        it.users++"],
      [
        "exclusive: one that is not well is lent",
        'if (verdict._tag === "Healthy") return true',
        "return true",
        "asks an unused connection"
      ],
      ["exclusive: connections grow as old as they like", "Duration.toMillis(maxLifetime) *", "1e9 *", "older than"]
    ]
  ),
  ...within(
    "core",
    "internal/dependencies.ts",
    ["McpPool.start"],
    [["close: the order of dependsOn is not kept", "other.dependsOn.includes(server.name)", "false", "closed before"]]
  ),

  // The kit
  ...within(
    "testing",
    "internal/leakProbe.ts",
    ["LeakCheck"],
    [
      ["leak check: marks are not looked for", " || carriesMark(pid)", ""],
      ["leak check: who has left the tree is forgotten", "setInterval(look, lookAround)", ""]
    ]
  ),
  ...within(
    "testing",
    "LeakCheck.ts",
    ["LeakCheck"],
    [["leak check: it does not wait", "until: (left) => left.length === 0 ||", "until: () => true ||"]]
  )
]
