/** Real time, for what belongs to real processes and sockets, under whatever clock a test runs. */
import * as Clock from "effect/Clock"

export const live = Clock.Clock.defaultValue()
