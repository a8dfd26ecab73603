export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  let length = 0
  for (const part of parts) length += part.length
  const all = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

const decoder = new TextDecoder()

/** Text of UTF-8 bytes; invalid ones become U+FFFD. */
export const decode = (bytes: Uint8Array): string => decoder.decode(bytes)
