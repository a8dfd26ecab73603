/** What a listener of the 2026 era asked to be told. */
import { type Frame, recordOf } from "./frames.ts"

const changes: Readonly<Record<string, string>> = {
  "notifications/tools/list_changed": "toolsListChanged",
  "notifications/prompts/list_changed": "promptsListChanged",
  "notifications/resources/list_changed": "resourcesListChanged"
}

/** Whether a `subscriptions/listen` with this filter is told of the notification. */
export const accepts = (filter: Frame, method: string, params: unknown): boolean => {
  const subscribed = filter["resourceSubscriptions"]
  return method === "notifications/resources/updated"
    ? Array.isArray(subscribed) && subscribed.includes(recordOf(params)["uri"])
    : filter[changes[method] ?? ""] === true
}
