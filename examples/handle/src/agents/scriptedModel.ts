/** A model without a model: asks for the price of a thing, and says what it was told. */
import { type Model, type ModelRequest, Usage } from "@openai/agents"

export const scriptedModel = (thing: string): Model & { readonly requests: ReadonlyArray<ModelRequest> } => {
  const requests: Array<ModelRequest> = []
  return {
    requests,
    getResponse: async (request) => {
      requests.push(request)
      const told = Array.isArray(request.input)
        ? request.input.findLast((item) => item.type === "function_call_result")
        : undefined
      const tool = request.tools.find(({ name }) => name.endsWith("price"))?.name ?? "price"
      return {
        usage: new Usage(),
        output: [
          told === undefined
            ? {
                type: "function_call",
                callId: "call_1",
                name: tool,
                arguments: JSON.stringify({ thing }),
                status: "completed"
              }
            : {
                type: "message",
                role: "assistant",
                status: "completed",
                content: [{ type: "output_text", text: `I was told: ${JSON.stringify(told.output)}` }]
              }
        ]
      }
    },
    getStreamedResponse: () => {
      throw new Error("not streamed here")
    }
  }
}
