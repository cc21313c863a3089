// Run by tests/integrations/test_node.py, with node --test.
import assert from "node:assert";
import https from "node:https";
import { test } from "node:test";
import { useWiretape } from "wiretape/node-test";

useWiretape({ arguments: JSON.parse(process.env.ARGUMENTS || "[]") });
const url = "https://api.openai.com/v1/chat/completions";
const options = { method: "POST", headers: { "content-type": "application/json" } };
const body = (content) => JSON.stringify({ model: "m", messages: [{ role: "user", content }] });

test("fetch", async () => {
  const answer = await fetch(url, { ...options, body: body("hi") });
  assert.equal((await answer.json()).choices[0].message.content, "yes");
});

test("node:https", async () => {
  const status = await new Promise((done, failed) => {
    const request = https.request(url, options, (answer) => {
      answer.resume();
      answer.once("end", () => done(answer.statusCode));
    });
    request.once("error", failed);
    request.end(body("hi"));
  });
  assert.equal(status, 200);
});

test("a swallowed miss", async () => {
  await fetch(url, { ...options, body: body(process.env.ODD || "hi") }).catch(() => {});
});
