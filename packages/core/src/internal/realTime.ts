/** Real time, whatever clock the program has: real processes and sockets do not know another. */
import * as Clock from "effect/Clock"

export const realTime = Clock.Clock.defaultValue()
