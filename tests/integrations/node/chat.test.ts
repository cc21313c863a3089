// Run by tests/integrations/test_node.py, with vitest.
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { generateText } from "ai";
import axios from "axios";
import OpenAI from "openai";
import { describe, expect, test } from "vitest";
import { useWiretape } from "wiretape/vitest";

useWiretape({ arguments: JSON.parse(process.env.ARGUMENTS || "[]") });
const url = "https://api.openai.com/v1/chat/completions";
const messages = [{ role: "user" as const, content: "hi" }];
const openai = new OpenAI({ apiKey: "k", maxRetries: 0 });

describe("each client", () => {
  test("openai", async () => {
    const answer = await openai.chat.completions.create({ model: "m", messages });
    expect(answer.choices[0].message.content).toBe("yes");
  });
  test("anthropic", async () => {
    const client = new Anthropic({ apiKey: "k", maxRetries: 0 });
    const answer = await client.messages.create({ model: "m", max_tokens: 9, messages });
    expect(answer.content).toEqual([{ type: "text", text: "yes" }]);
  });
  test("ai sdk", async () => {
    const model = createOpenAI({ apiKey: "k" }).chat("m");
    expect((await generateText({ model, prompt: "hi", maxRetries: 0 })).text).toBe("yes");
  });
  test("axios", async () => {
    const { data } = await axios.post(url, { model: "m", messages });
    expect(data.choices[0].message.content).toBe("yes");
  });
});

test("a swallowed miss", async () => {
  const odd = process.env.ODD || "hi";
  const asked = [{ role: "user" as const, content: odd }];
  await openai.chat.completions.create({ model: "m", messages: asked }).catch(() => {});
});
