// Node's own fetch.
import { make } from "./say.mjs";

const PLACE = process.env.CLIENTS_URL ?? "https://api.together.xyz";

async function ask(call, stream) {
  const answer = await fetch(`${PLACE}/v1/chat/completions?call=${call}`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Authorization: `Bearer ${process.env.TOGETHER_API_KEY}`,
    },
    body: JSON.stringify({
      model: "meta-llama/Llama-3.3-70B-Instruct-Turbo",
      messages: [{ role: "user", content: call }],
      stream,
    }),
  });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return answer;
}

await make({
  "fetch.whole": async function* () {
    yield await (await ask("fetch.whole", false)).text();
  },
  "fetch.streamed": async function* () {
    const answer = await ask("fetch.streamed", true);
    let rest = "";
    for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
      const events = (rest + text).split("\n\n");
      rest = events.pop();
      for (const event of events) yield event + "\n\n";
    }
    if (rest) yield rest;
  },
});
