"""Command lines of agents and small programs of client libraries, as `matrix` drives them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

type Tool = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Client:
    """A program that asks a model with a prompt and prints the answer.

    In `command` and `env`, "{bin}" is the folder of what was installed, "{root}" the one above it,
    "{prompt}" the prompt. `tool` is the tool, with its arguments, that the model calls in the
    second of two prompts. `binary` is a program with a libc of its own, which a changed clock has
    to be brought to by an emulator.
    """

    name: str
    kind: Literal["agent", "python", "node"]
    packages: Sequence[str]
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    tool: Tool | None = None
    binary: str | None = None

    @property
    def manager(self) -> Literal["npm", "pip"]:
        """What installs its packages."""
        return "pip" if self.kind == "python" or "==" in self.packages[0] else "npm"


_CODEX: Final = (
    *("{bin}/codex", "exec", "--skip-git-repo-check", "-m", "gpt-4o"),
    # A changed clock is not for the commands that it runs.
    *("-c", 'shell_environment_policy.exclude=["LD_PRELOAD"]'),
)
_CODEX_BINARY: Final = (
    "{root}/node_modules/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex"
)
_PLAIN_PROVIDER: Final = (
    '{name="plain", base_url="https://api.openai.com/v1", env_key="CODEX_API_KEY",'
    ' wire_api="responses"}'
)
_SHELL: Final = {"command": "cat README.md", "description": "Reads the file"}

_OPENAI_AGENTS: Final = """
import sys
from pathlib import Path
from agents import Agent, Runner, function_tool

@function_tool
def read(name: str) -> str:
    return Path(name).read_text()

agent = Agent(name="A", instructions="Be brief", model="gpt-4o", tools=[read])
print(Runner.run_sync(agent, sys.argv[1]).final_output)
"""

_TWO: Final = """
"$0/claude" -p "$1" >"$HOME/one" 2>&1 & one=$!
"$0/qwen" --auth-type openai -m gpt-4o -p "$1" >"$HOME/two" 2>&1 & two=$!
wait $one; status=$?
wait $two || status=$?
cat "$HOME/one" "$HOME/two"
exit $status
"""

AGENTS: Final = (
    Client(
        name="claude-code",
        kind="agent",
        packages=("@anthropic-ai/claude-code@2.1.197",),
        command=("{bin}/claude", "--allowedTools", "Bash", "-p", "{prompt}"),
        tool=("Bash", _SHELL),
    ),
    Client(
        name="codex",
        kind="agent",
        packages=("@openai/codex@0.171.0",),
        command=(*_CODEX, "{prompt}"),
        tool=("exec_command", {"cmd": "cat README.md"}),
        binary=_CODEX_BINARY,
    ),
    Client(
        name="codex over SSE",
        kind="agent",
        packages=("@openai/codex@0.171.0",),
        command=(
            *(*_CODEX, "-c", f"model_providers.plain={_PLAIN_PROVIDER}"),
            *("-c", 'model_provider="plain"', "{prompt}"),
        ),
        tool=("exec_command", {"cmd": "cat README.md"}),
        binary=_CODEX_BINARY,
    ),
    Client(
        name="gemini-cli",
        kind="agent",
        packages=("@google/gemini-cli@0.61.0",),
        command=(
            *("{bin}/gemini", "-m", "gemini-2.5-flash", "--skip-trust"),
            *("--approval-mode", "yolo", "-p", "{prompt}"),
        ),
        tool=("run_shell_command", _SHELL),
    ),
    Client(
        name="qwen-code",
        kind="agent",
        packages=("@qwen-code/qwen-code@0.15.10",),
        command=(
            *("{bin}/qwen", "--auth-type", "openai", "-m", "gpt-4o"),
            *("--approval-mode", "yolo", "-p", "{prompt}"),
        ),
        env={"OPENAI_BASE_URL": "https://api.openai.com/v1"},
        tool=("run_shell_command", {**_SHELL, "is_background": False}),
    ),
    Client(
        name="opencode",
        kind="agent",
        packages=("opencode-ai@1.18.33",),
        command=("{bin}/opencode", "run", "-m", "openai/gpt-4o", "{prompt}"),
        tool=("bash", _SHELL),
    ),
    Client(
        name="aider",
        kind="agent",
        packages=("aider-chat==0.86.2",),
        command=(
            *("{bin}/aider", "--model", "openai/gpt-4o", "--yes-always", "--no-auto-commits"),
            *("--no-check-update", "--no-show-release-notes", "--message", "{prompt}"),
        ),
    ),
    Client(
        name="claude-code beside qwen-code",
        kind="agent",
        packages=("@anthropic-ai/claude-code@2.1.197", "@qwen-code/qwen-code@0.15.10"),
        command=("sh", "-c", _TWO, "{bin}", "{prompt}"),
        env={"OPENAI_BASE_URL": "https://api.openai.com/v1"},
    ),
    Client(
        name="openai-agents",
        kind="agent",
        packages=("openai-agents==0.24.0",),
        command=("{bin}/python", "-c", _OPENAI_AGENTS, "{prompt}"),
        tool=("read", {"name": "README.md"}),
    ),
)
