/** What a name matches, and what it sounds like. */

const special = /[\\^$.*+?()[\]{}|]/g

/** Whether a name is what the pattern says; `*` stands for any text, and no pattern for every name. */
export const matchesName = (pattern: string | undefined, name: string): boolean =>
  pattern === undefined ||
  new RegExp(
    `^${pattern
      .split("*")
      .map((part) => part.replaceAll(special, String.raw`\$&`))
      .join("[^]*")}$`
  ).test(name)

const secret = /pass(word|wd|phrase)|secret|token(?!s)|api[-_]?key|authori[sz]ation|credential|cookie|private[-_]?key/i

/** Whether a value of that name is likely to be a secret. */
export const isSecretName = (name: string): boolean => secret.test(name)
