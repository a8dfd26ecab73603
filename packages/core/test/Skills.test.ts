import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { type McpError, McpPool, Skills } from "@scoped-mcp/core"
import { Effect, Layer } from "effect"
import * as Platform from "./support/platform.ts"
import { ScriptedPeer } from "./support/ScriptedPeer.ts"

const digestOf = (content: string | Uint8Array) => `sha256:${createHash("sha256").update(content).digest("hex")}`

const root = "skill://pdf-processing"
const description = "Extract, fill, and assemble PDF documents"
const text = `---\nname: pdf-processing\ndescription: ${description}\n---\n\nRead the forms first.\n`
const forms = "# Forms\n"
const picture = new Uint8Array([0, 255, 128, 7])

const resource = (path: string, content: string | Uint8Array) => ({
  uri: `${root}/${path}`,
  digest: digestOf(content),
  size: Buffer.byteLength(content)
})

const files: Readonly<Record<string, string | Uint8Array>> = {
  "SKILL.md": text,
  "references/FORMS.md": forms,
  "assets/a%26b.png": picture
}

const makeEntry = (change: Readonly<Record<string, unknown>> = {}) => ({
  uri: `${root}/SKILL.md`,
  frontmatter: { name: "pdf-processing", description },
  resources: Object.entries(files).map(([path, content]) => resource(path, content)),
  ...change
})

interface Library {
  readonly pages?: ReadonlyArray<ReadonlyArray<unknown>>
  /** What is served in the place of a file. */
  readonly served?: Readonly<Record<string, string | Uint8Array>>
  readonly get?: unknown
  readonly capabilities?: Readonly<Record<string, unknown>>
}

const poolOf = (peer: ScriptedPeer) =>
  Layer.provide(McpPool.layer({ servers: { library: peer.source() } }), Platform.none)

/** A server with skills, in a pool. */
const withLibrary = <A, E>(
  library: Library,
  use: (peer: ScriptedPeer) => Effect.Effect<A, E, McpPool.McpPool>
): Effect.Effect<A, E | McpError.McpError> => {
  const pages = library.pages ?? [[makeEntry()]]
  const served = { ...files, ...library.served }
  const peer = new ScriptedPeer({
    capabilities: library.capabilities ?? { resources: {}, extensions: { "io.modelcontextprotocol/skills": {} } },
    methods: {
      "skills/list": ({ cursor }) => {
        const page = cursor === undefined ? 0 : Number(cursor)
        return { skills: pages[page], ...(page + 1 < pages.length ? { nextCursor: String(page + 1) } : {}) }
      },
      "skills/get": () => ({ skill: library.get ?? makeEntry() }),
      "resources/read": ({ uri }) => {
        const content = served[String(uri).slice(root.length + 1)]!
        const body = typeof content === "string" ? { text: content } : { blob: Buffer.from(content).toString("base64") }
        return { contents: [{ uri, mimeType: "text/markdown", ...body }] }
      }
    }
  })
  return Effect.provide(use(peer), poolOf(peer))
}

const server = "library"

const first = Effect.map(Skills.list({ server }), ({ skills }) => skills[0]!)

const reasonOf = <A, R>(effect: Effect.Effect<A, { readonly reason: object }, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

describe("listing", () => {
  it.effect("tells what a server says of its skills, over all pages, and fetches none of them", () =>
    withLibrary({ pages: [[makeEntry()], [makeEntry({ uri: `${root}/more/SKILL.md` })]] }, (peer) =>
      Effect.gen(function* () {
        const { refused, skills } = yield* Skills.list({ server })
        assert.deepStrictEqual(skills[0]?.frontmatter, { name: "pdf-processing", description })
        assert.deepInclude(refused[0], { index: 1, uri: `${root}/more/SKILL.md` })
        assert.lengthOf(peer.sent("skills/list"), 2)
        assert.lengthOf(peer.sent("resources/read"), 0)
      })
    )
  )

  it.effect("is empty where the server does not have the extension, which is not asked", () =>
    withLibrary({ capabilities: { resources: {} } }, (peer) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* Skills.list({ server }), { skills: [], refused: [] })
        assert.lengthOf(peer.sent("skills/list"), 0)
        const refused = yield* Effect.flip(Skills.get({ server, uri: `${root}/SKILL.md` }))
        assert.strictEqual(refused.delivery, "NotSent")
      })
    )
  )

  it.effect("refuses every copy of an address that is listed twice, however it is spelled", () =>
    withLibrary({ pages: [[makeEntry(), makeEntry({ uri: "skill://pdf-processing/./SKILL.md" })]] }, () =>
      Effect.gen(function* () {
        const { refused, skills } = yield* Skills.list({ server })
        assert.lengthOf(skills, 0)
        assert.deepStrictEqual(
          refused.map(({ problem }) => problem),
          ["its address is listed more than once", "its address is listed more than once"]
        )
      })
    )
  )

  it.effect.each([
    ["no object", 7, ""],
    ["an address that is no SKILL.md", makeEntry({ uri: `${root}/README.md` }), "SKILL.md in a folder"],
    ["a SKILL.md in no folder", makeEntry({ uri: "skill:///SKILL.md" }), "SKILL.md in a folder"],
    ["a name that is not its folder's", makeEntry({ frontmatter: { name: "pdf", description } }), "folder"],
    ["a name with capitals", makeEntry({ frontmatter: { name: "PDF", description } }), "lowercase"],
    ["no description", makeEntry({ frontmatter: { name: "pdf-processing" } }), "description"],
    ["a digest that is none", makeEntry({ resources: [{ ...resource("SKILL.md", text), digest: "x" }] }), "64 hex"],
    ["a size below nothing", makeEntry({ resources: [{ ...resource("SKILL.md", text), size: -1 }] }), "size"],
    ["no SKILL.md among its files", makeEntry({ resources: [resource("a.md", "")] }), "SKILL.md itself"],
    [
      "a file that is listed twice",
      makeEntry({ resources: [resource("SKILL.md", text), resource("SKILL%2Emd", text)] }),
      "more than once"
    ],
    [
      "a file outside of its folder",
      makeEntry({ resources: [resource("SKILL.md", text), { ...resource("", ""), uri: "skill://other/passwd" }] }),
      "below the skill's folder"
    ],
    [
      "a file whose name hides a slash",
      makeEntry({ resources: [resource("SKILL.md", text), resource("..%2F..%2Fpasswd", "")] }),
      "below the skill's folder"
    ],
    [
      "a field that would change every object",
      makeEntry({ frontmatter: JSON.parse(`{"name":"pdf-processing","description":"x","__proto__":{}}`) }),
      "__proto__"
    ]
  ] as const)("refuses an entry with %s, and keeps the others", ([, entry, problem]) =>
    withLibrary({ pages: [[entry, makeEntry({ uri: `${root}/pdf-processing/SKILL.md`, resources: "dynamic" })]] }, () =>
      Effect.gen(function* () {
        const { refused, skills } = yield* Skills.list({ server })
        assert.lengthOf(skills, 1)
        assert.lengthOf(refused, 1)
        assert.include(refused[0]?.problem, problem)
      })
    )
  )

  it.effect("ends when a server never does", () =>
    withLibrary({ pages: Array.from({ length: 101 }, () => []) }, () =>
      Effect.gen(function* () {
        assert.deepInclude(yield* reasonOf(Skills.list({ server })), { _tag: "InvalidResult" })
      })
    )
  )
})

describe("one entry", () => {
  it.effect("is got by its address", () =>
    withLibrary({}, (peer) =>
      Effect.gen(function* () {
        const skill = yield* Skills.get({ server, uri: `${root}/SKILL.md` })
        assert.strictEqual(skill.uri, `${root}/SKILL.md`)
        assert.deepInclude(peer.sent("skills/get")[0]?.params, { uri: `${root}/SKILL.md` })
      })
    )
  )

  it.effect("is refused when it is another, or breaks the rules", () =>
    Effect.gen(function* () {
      const get = reasonOf(Skills.get({ server, uri: `${root}/SKILL.md` }))
      const other = makeEntry({ uri: "skill://other/pdf-processing/SKILL.md", resources: "dynamic" })
      for (const entry of [other, makeEntry({ resources: [] }), 7]) {
        const reason = yield* withLibrary({ get: entry }, () => get)
        assert.deepInclude(reason, { _tag: "InvalidResult" })
      }
    })
  )
})

describe("a skill", () => {
  it.effect("is loaded with its frontmatter and instructions", () =>
    withLibrary({}, () =>
      Effect.gen(function* () {
        const loaded = yield* Skills.load({ server, skill: yield* first })
        assert.deepInclude(loaded, {
          body: "\nRead the forms first.\n",
          text,
          verified: true,
          mimeType: "text/markdown"
        })
        assert.deepStrictEqual(loaded.frontmatter, { name: "pdf-processing", description })
      })
    )
  )

  it.effect("gives its files, as text and as bytes, however a reference spells them", () =>
    withLibrary({}, () =>
      Effect.gen(function* () {
        const skill = yield* first
        const read = (file: string) => Skills.read({ server, skill, file })
        assert.strictEqual((yield* read("references/FORMS.md#page-2")).text, forms)
        assert.strictEqual((yield* read(`${root}/references/../references/FORMS.md`)).text, forms)
        const image = yield* read("assets/a&b.png")
        assert.deepStrictEqual([image.bytes, image.text], [picture, undefined])
        assert.strictEqual((yield* read("SKILL.md")).text, text)
      })
    )
  )

  it.effect.each(["scripts/run.py", "../other/SKILL.md", "https://example.com/x", "a?b", "", "//["])(
    "asks the server for nothing that it does not list: %s",
    (file) =>
      withLibrary({}, (peer) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(Skills.read({ server, skill: yield* first, file }))
          assert.deepInclude(error.reason, { _tag: "SkillRejected" as const, check: "Unlisted" as const })
          assert.strictEqual(error.delivery, "NotSent")
          assert.lengthOf(peer.sent("resources/read"), 0)
        })
      )
  )

  it.effect("is rejected when its file has another size or another content", () =>
    Effect.gen(function* () {
      const load = Effect.flatMap(first, (skill) => reasonOf(Skills.load({ server, skill })))
      const longer = yield* withLibrary({ served: { "SKILL.md": `${text}more` } }, () => load)
      assert.deepInclude(longer, { _tag: "SkillRejected", check: "Size" })
      const other = yield* withLibrary({ served: { "SKILL.md": text.replace("first", "later") } }, () => load)
      assert.deepInclude(other, { _tag: "SkillRejected", check: "Digest" })
      assert.notInclude(JSON.stringify(other), "later")
    })
  )

  it.effect.each([
    ["another description", text.replace("Extract", "Exfiltrate"), "description"],
    ["a field more", text.replace("---\n\n", "model: any\n---\n\n"), "model"],
    ["no frontmatter", "Read the forms first.\n", "three dashes"],
    ["frontmatter without an end", "---\nname: pdf-processing\n", "no end"],
    ["frontmatter that is no mapping", "---\n- a\n---\n", "not a mapping"],
    ["frontmatter that is no YAML", "---\nname: [\n---\n", "cannot be read"]
  ] as const)("is rejected with %s in the file that its digest is right for", ([, served, detail]) =>
    withLibrary(
      { served: { "SKILL.md": served }, pages: [[makeEntry({ resources: [resource("SKILL.md", served)] })]] },
      () =>
        Effect.gen(function* () {
          const skill = yield* first
          for (const fetch of [Skills.load({ server, skill }), Skills.read({ server, skill, file: "SKILL.md" })]) {
            const error = yield* Effect.flip(fetch)
            assert.deepInclude(error.reason, { _tag: "SkillRejected" as const, check: "Frontmatter" as const })
            assert.include(error.message, detail)
          }
        })
    )
  )

  it.effect("is rejected when bytes that are no text are served as its SKILL.md", () => {
    const bytes = new Uint8Array([45, 45, 45, 10, 255])
    const library = {
      served: { "SKILL.md": bytes },
      pages: [[makeEntry({ resources: [resource("SKILL.md", bytes)] })]]
    }
    return withLibrary(library, () =>
      Effect.gen(function* () {
        const reason = yield* reasonOf(Skills.load({ server, skill: yield* first }))
        assert.deepInclude(reason, { _tag: "SkillRejected", check: "Frontmatter" })
      })
    )
  })

  it.effect("may come as bytes, with a byte order mark and with the line ends of another system", () => {
    const bytes = Buffer.from(`\uFEFF${text.replaceAll("\n", "\r\n")}`)
    const library = {
      served: { "SKILL.md": bytes },
      pages: [[makeEntry({ resources: [resource("SKILL.md", bytes)] })]]
    }
    return withLibrary(library, () =>
      Effect.gen(function* () {
        const { body } = yield* Skills.load({ server, skill: yield* first })
        assert.strictEqual(body, "\nRead the forms first.\n")
      })
    )
  })

  it.effect("that is made on demand is not verified but for its frontmatter, and stays in its folder", () =>
    withLibrary({ pages: [[makeEntry({ resources: "dynamic" })]], served: { "b.md": "any" } }, (peer) =>
      Effect.gen(function* () {
        const skill = yield* first
        assert.isFalse((yield* Skills.load({ server, skill })).verified)
        assert.deepInclude(yield* Skills.read({ server, skill, file: "b.md" }), { text: "any", verified: false })
        const reads = peer.sent("resources/read").length
        const outside = yield* reasonOf(Skills.read({ server, skill, file: "//other/etc/passwd" }))
        assert.deepInclude(outside, { _tag: "SkillRejected", check: "Unlisted" })
        assert.lengthOf(peer.sent("resources/read"), reads)
      })
    )
  )

  it.effect("with an entry of the caller's own making that breaks the rules is not fetched", () =>
    withLibrary({}, (peer) =>
      Effect.gen(function* () {
        const skill = { ...makeEntry(), uri: `${root}/README.md` }
        const reason = yield* reasonOf(Skills.load({ server, skill }))
        assert.deepInclude(reason, { _tag: "SkillRejected", check: "Entry" })
        assert.lengthOf(peer.sent("resources/read"), 0)
      })
    )
  )
})

describe("a server that answers with the unusable", () => {
  const answering = (methods: NonNullable<ConstructorParameters<typeof ScriptedPeer>[0]>["methods"]) => {
    const peer = new ScriptedPeer({
      capabilities: { resources: {}, extensions: { "io.modelcontextprotocol/skills": {} } },
      methods: { "skills/list": () => ({ skills: [makeEntry()] }), ...methods! }
    })
    return poolOf(peer)
  }

  it.effect("is told as such: no list, the contents of another file, neither text nor bytes", () =>
    Effect.gen(function* () {
      const noList = yield* reasonOf(Skills.list({ server })).pipe(
        Effect.provide(answering({ "skills/list": () => ({}) }))
      )
      assert.deepInclude(noList, { _tag: "InvalidResult" })
      const uri = `${root}/SKILL.md`
      for (const contents of [
        [],
        [null],
        [{ uri: 7, text }],
        [{ uri: `${root}/b`, text }],
        [{ uri }],
        [{ uri, blob: "%" }]
      ]) {
        const load = Effect.flatMap(first, (skill) => reasonOf(Skills.load({ server, skill })))
        const reason = yield* load.pipe(Effect.provide(answering({ "resources/read": () => ({ contents }) })))
        assert.deepInclude(reason, { _tag: "InvalidResult" }, JSON.stringify(contents))
      }
    })
  )
})
