"""What coding agents send, as it was seen, of two runs each with what varies between them."""

import json
from collections.abc import Callable
from typing import Any, Final

type Run = tuple[str, str, str, str]
"""What a run has of its own: an id, a date as 2026-11-29, a long date, a name of a folder."""


RUNS: Final[tuple[Run, Run]] = (
    ("3f9c1d52-0a7b-4c11-8e55-0d6a1b2c3d4e", "2026-11-29", "Sunday, November 29, 2026", "shop"),
    ("a0b1c2d3-e4f5-4a6b-9c8d-7e6f5a4b3c2d", "2026-12-08", "Tuesday, December 8, 2026", "w2"),
)
FINISHED: Final = "README.md"
"""What a tool printed in both runs."""
SHORT: Final = {"2026-11-29": "Sun Nov 29 2026", "2026-12-08": "Tue Dec 08 2026"}


def git_state(name: str) -> str:
    status = "(clean)" if name == "w2" else " M a b.py\n?? new/\nR  one -> two"
    commits = "0a1b2c3 Fix it" if name == "w2" else "fedcba9 Do: this\n0123456 that"
    return (
        "\n\ngitStatus: This is the git status at the start of the conversation. Note that this"
        " status is a snapshot in time, and will not update during the conversation.\n\n"
        f"Current branch: {name}\n\nMain branch (you will usually use this for PRs): main\n\n"
        f"Status:\n{status}\n\n"
        f"Recent commits:\n{commits}"
    )


def claude(run: Run, prompt: str, output: str = FINISHED) -> Any:
    uuid, day, _, name = run
    user = {"device_id": uuid.replace("-", ""), "account_uuid": "", "session_id": uuid}
    version = f"cc_version=2.1.197.{uuid[:3]}; cc_entrypoint=sdk-cli; cch={uuid[:5]};"
    system = (
        "Environment:\n - Primary working directory: {cwd}\n - Is a git repository: false\n"
        f" - Platform: linux\n - Shell: bash\n - OS Version: Linux 6.{len(name)}\n - You are Claude"
    )
    reminder = (
        "<system-reminder>\nuse the following context:\n# currentDate\n"
        f"Today's date is {day}.\n\n</system-reminder>"
    )
    texts = [f"x-anthropic-billing-header: {version}", system, "Go on" + git_state(name)]
    agent = uuid.replace("-", "")
    usage = (
        f"agentId: {agent} (use SendMessage with to: '{agent}', summary: '<5-10 word recap>' to"
        " continue this agent)\n<usage>subagent_tokens: 12\ntool_uses: 2\n"
        f"duration_ms: 31{len(name)}</usage>"
    )
    result = {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "content": [{"type": "text", "text": text} for text in (output, usage)],
    }
    return {
        "model": "claude",
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": text} for text in (reminder, prompt)],
            },
            {"role": "user", "content": [result]},
        ],
        "system": [{"type": "text", "text": text} for text in texts],
        "metadata": {"user_id": json.dumps(user, separators=(",", ":"))},
        "tools": [{"name": "Bash"}],
        "stream": True,
    }


def codex(run: Run, prompt: str, output: str = FINISHED) -> Any:
    uuid, day, _, name = run
    zone = "Europe/Berlin" if name == "w2" else "Etc/UTC"
    context = (
        "<environment_context>\n  <cwd>{cwd}</cwd>\n  <shell>bash</shell>\n"
        f"  <current_date>{day}</current_date>\n  <timezone>{zone}</timezone>\n"
        "</environment_context>"
    )
    return {
        "type": "response.create",
        "model": "gpt-4o",
        "stream": True,
        "generate": False,
        "tools": [{"type": "function", "name": "exec_command"}],
        "input": [
            {
                "type": "message",
                "id": f"msg_{uuid}-{number}",
                "role": "user",
                "content": [{"type": "input_text", "text": text}],
                "internal_chat_message_metadata_passthrough": {
                    "turn_id": uuid,
                    "create_time": 1795965553.5 + len(name),
                },
            }
            for number, text in enumerate((context, prompt))
        ]
        + [
            {
                "type": "function_call_output",
                "call_id": f"call_{uuid}",
                "output": f"Chunk ID: {uuid[:6]}\nWall time: 0.0{len(name)} seconds\n"
                f"Process exited with code 0\nOriginal token count: 4\nOutput:\n{output}",
            },
            {
                "type": "custom_tool_call_output",
                "call_id": f"call_{uuid}-2",
                "output": f"Exit code: 0\nWall time: 0.{len(name)} seconds\nOutput:\n{output}",
            },
        ],
        "prompt_cache_key": uuid,
        "client_metadata": {
            "x-codex-window-id": f"{uuid}:0",
            "session_id": uuid,
            "x-codex-ws-stream-request-start-ms": f"17959655536{len(name)}",
        },
    }


def gemini(run: Run, prompt: str, output: str = FINISHED) -> Any:
    _, _, day, name = run
    folder = f"{{home}}/.gemini/tmp/{name}"
    context = (
        "<session_context>\nThis is the Gemini CLI. We are setting up the context for our chat.\n"
        f"Today's date is {day} (formatted according to the user's locale).\n"
        f"My operating system is: {'linux' if name == 'w2' else 'darwin'}\n"
        f"The project's temporary directory is: {folder}\n</session_context>"
    )
    system = (
        f"<location>/opt/{name}/node_modules/@google/gemini-cli/bundle/x.md</location>\n"
        f"(`{folder}/memory/MEMORY.md`)"
    )
    result = (
        f"<untrusted_context>\nOutput: {output}\nBackground PIDs: 1{len(name)}, 2{len(name)}\n"
        f"Process Group PGID: 1{len(name)}\n</untrusted_context>"
    )
    return {
        "model": "gemini",
        "contents": [
            {"role": "user", "parts": [{"text": context}, {"text": prompt}]},
            {"role": "user", "parts": [{"functionResponse": {"response": {"output": result}}}]},
        ],
        "systemInstruction": {"parts": [{"text": system}]},
        "tools": [{"functionDeclarations": [{"name": "update_topic"}]}],
    }


def qwen(run: Run, prompt: str, output: str = FINISHED) -> Any:
    _, _, day, name = run
    system = f"You are Qwen Code.\n--- Context from: ../{name}/.qwen/output-language.md ---\n"
    context = (
        "This is the Qwen Code. We are setting up the context for our chat.\n"
        f"Today's date is {day} (formatted according to the user's locale).\n"
        f"My operating system is: {'linux' if name == 'w2' else 'darwin'}\nI'm in {{cwd}}"
    )
    result = f"Output: {output}\nSignal: 0\nProcess Group PGID: 1{len(name)}"
    return {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": [{"type": "text", "text": context}]},
            {"role": "user", "content": [{"type": "text", "text": prompt}]},
            {"role": "tool", "content": [{"type": "text", "text": result}]},
            {"role": "tool", "content": result},
        ],
        "tools": [{"type": "function", "function": {"name": "tool_search"}}],
        "stream": True,
    }


def opencode(run: Run, prompt: str) -> Any:
    uuid, day, _, name = run
    system = (
        "You are opencode, an agent\n<env>\n  Working directory: {cwd}\n"
        f"  Platform: {'linux' if name == 'w2' else 'darwin'}\n"
        f"  Today's date: {SHORT[day]}\n</env>\nSkills"
    )
    return {
        "model": "gpt-4o",
        "input": [
            {"role": "system", "content": system},
            {"role": "user", "content": [{"type": "input_text", "text": prompt}]},
        ],
        "prompt_cache_key": f"ses_{uuid[:8]}",
        "tools": [{"type": "function", "name": "bash"}],
        "stream": True,
    }


def aider(run: Run, prompt: str) -> Any:
    system = (
        f"Act as an expert software developer.\n- Platform: Linux-6.{len(run[3])}\n"
        "- Shell: SHELL=/bin/bash\n- Language: English\n"
        f"- Current date: {run[1]}\n- The user is operating inside a git repository\n"
    )
    return {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": prompt}],
        "tools": [],
        "stream": True,
    }


def openai_agents(run: Run, prompt: str) -> Any:
    return {
        "model": "gpt-4o",
        "input": [{"role": "user", "content": prompt}],
        "prompt_cache_key": f"agents-sdk:run:{run[0].replace('-', '')}",
        "tools": [],
    }


MADE: Final[dict[str, tuple[str, Callable[..., Any]]]] = {
    "claude-code": ("https://api.anthropic.com/v1/messages", claude),
    "codex": ("https://api.openai.com/v1/responses", codex),
    "gemini-cli": ("https://generativelanguage.googleapis.com/v1beta/models/g:x", gemini),
    "qwen-code": ("https://api.openai.com/v1/chat/completions", qwen),
    "opencode": ("https://api.openai.com/v1/responses", opencode),
    "aider": ("https://api.openai.com/v1/chat/completions", aider),
    "openai-agents": ("https://api.openai.com/v1/responses", openai_agents),
}
