// Run by tests/integrations/test_node.py, with jest.
const OpenAI = require("openai");
const { useWiretape } = require("wiretape/jest");

useWiretape({ arguments: JSON.parse(process.env.ARGUMENTS || "[]"), folder: "shared" });
const openai = new OpenAI({ apiKey: "k", maxRetries: 0 });

test.each([["hi"], [process.env.ODD || "hi"]])("asks %s", async (content) => {
  const messages = [{ role: "user", content }];
  await openai.chat.completions.create({ model: "m", messages }).catch(() => {});
});
