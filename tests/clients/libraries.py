"""Small programs of client libraries, as their READMEs show them; `matrix` drives them.

Each asks with the prompt that is its first argument and prints the answer.
"""

from collections.abc import Iterator
from typing import Final

from .agents import Client

_CHAT: Final = 'model="m", messages=[{"role": "user", "content": sys.argv[1]}]'

PYTHON: Final = {
    "openai": f"""
from openai import OpenAI
for chunk in OpenAI().chat.completions.create({_CHAT}, stream=True):
    print(chunk.choices[0].delta.content or "" if chunk.choices else "", end="")
""",
    "anthropic": f"""
from anthropic import Anthropic
with Anthropic().messages.stream({_CHAT}, max_tokens=99) as stream:
    for text in stream.text_stream:
        print(text, end="")
""",
    "google-genai": """
from google import genai
client = genai.Client(http_options={"api_version": "v1beta"})
for chunk in client.models.generate_content_stream(model="gemini-2.5-flash", contents=sys.argv[1]):
    print(chunk.text or "", end="")
""",
    "together": f"""
from together import Together
for chunk in Together().chat.completions.create({_CHAT}, stream=True):
    print(chunk.choices[0].delta.content or "" if chunk.choices else "", end="")
""",
    "mistralai": f"""
from mistralai.client import Mistral
print(Mistral(api_key=os.environ["MISTRAL_API_KEY"]).chat.complete({_CHAT}).choices[0].message.content)
""",
    "cohere": f"""
import cohere
print(cohere.ClientV2().chat({_CHAT}).message.content[0].text)
""",
    "litellm": f"""
import litellm
answer = litellm.completion({_CHAT.replace('"m"', '"openai/gpt-4o"')})
print(answer.choices[0].message.content)
""",
    "langchain-openai": """
from langchain_openai import ChatOpenAI
for chunk in ChatOpenAI(model="gpt-4o").stream(sys.argv[1]):
    print(chunk.content, end="")
""",
    "langchain-anthropic": """
from langchain_anthropic import ChatAnthropic
print(ChatAnthropic(model="claude-sonnet-4-5").invoke(sys.argv[1]).content)
""",
    "pydantic-ai-slim[openai]": """
from pydantic_ai import Agent
print(Agent("openai:gpt-4o").run_sync(sys.argv[1]).output)
""",
}

_NODE_CHAT: Final = 'model: "m", messages: [{ role: "user", content: process.argv[1] }]'

NODE: Final = {
    "openai": f"""
const OpenAI = require("openai").default;
const stream = await new OpenAI().chat.completions.create({{ {_NODE_CHAT}, stream: true }});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? "");
""",
    "@anthropic-ai/sdk": f"""
const Anthropic = require("@anthropic-ai/sdk").default;
const stream = new Anthropic().messages.stream({{ {_NODE_CHAT}, max_tokens: 99 }});
stream.on("text", (text) => process.stdout.write(text));
await stream.finalMessage();
""",
    "@google/genai": """
const { GoogleGenAI } = require("@google/genai");
const client = new GoogleGenAI({ apiKey: process.env.GEMINI_API_KEY, apiVersion: "v1beta" });
const asked = { model: "gemini-2.5-flash", contents: process.argv[1] };
const stream = await client.models.generateContentStream(asked);
for await (const chunk of stream) process.stdout.write(chunk.text ?? "");
""",
    "together-ai": f"""
const Together = require("together-ai").default;
const answer = await new Together().chat.completions.create({{ {_NODE_CHAT} }});
console.log(answer.choices[0].message.content);
""",
    "ai @ai-sdk/openai": """
const { generateText } = require("ai");
const { openai } = require("@ai-sdk/openai");
console.log((await generateText({ model: openai("gpt-4o"), prompt: process.argv[1] })).text);
""",
}


def _libraries() -> Iterator[Client]:
    for packages, code in PYTHON.items():
        command = ("{bin}/python", "-c", f"import os, sys{code}", "{prompt}")
        yield Client(name=packages, kind="python", packages=(packages,), command=command)
    for packages, code in NODE.items():
        command = ("node", "-e", f"(async () => {{{code}}})();", "{prompt}")
        env = {"NODE_PATH": "{root}/node_modules"}
        yield Client(
            name=packages, kind="node", packages=tuple(packages.split()), command=command, env=env
        )


LIBRARIES: Final = tuple(_libraries())
