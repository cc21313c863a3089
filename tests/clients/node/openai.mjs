// The npm package openai, as its README shows it.
import OpenAI from "openai";

import { make } from "./say.mjs";

const model = "gpt-4o-mini";

await make({
  "npm.whole": async function* () {
    const messages = [{ role: "user", content: "npm.whole" }];
    yield await new OpenAI().chat.completions.create({ model, messages });
  },
  "npm.streamed": async function* () {
    const messages = [{ role: "user", content: "npm.streamed" }];
    const stream = await new OpenAI().chat.completions.create({ model, messages, stream: true });
    for await (const chunk of stream) yield chunk;
  },
});
