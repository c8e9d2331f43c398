"""The inspector's CLI and the official Python client list and call the tools of `inorder serve`.

Run by clients.sh, which sets INORDER, PLUGIN, ROOT and URL. Knows nothing of how the server works: only what came back.
"""

import asyncio
import json
import logging
import os
import subprocess

from mcp import Client, StdioServerParameters

STDIO = [os.environ["INORDER"], "serve", "--no-audit", "--root", os.environ["ROOT"], "--plugin", os.environ["PLUGIN"]]
URL = os.environ["URL"]

BATCH = {
    "calls": [
        {"id": "find", "tool": "search_files", "args": {"path": ".", "pattern": "b.txt"}},
        {"tool": "read_text_file", "args": {"path": {"$from": "find", "at": "/0/path"}}},
        {"tool": "test_error_handling", "args": {}},
        {"tool": "read_text_file", "args": {"path": {"$from": 3}}},
    ]
}
TOOLS = {"run_batch", "read_text_file", "search_files", "test_simple_text", "test_error_handling"}
TEXT = "This is a simple text response for testing."
FAILED = "This tool intentionally returns an error for testing"


def check_batch(structured):
    """What is the same however a client hands it over."""
    results = structured["results"]
    assert [it["status"] for it in results] == ["ok", "ok", "error", "skipped"], results
    assert results[1]["value"] == "the needle is here\n", results
    assert results[2]["error"]["kind"] == "tool" and results[2]["error"]["value"] == FAILED, results
    assert results[3]["error"]["because"] == "3", results


def inspect(target, *arguments):
    """The result that the inspector's CLI prints, with how it ended."""
    command = ["mcp-inspector", "--cli", *target, "--quiet", "--format", "json", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    try:
        return json.loads(ended.stdout)["result"], ended.returncode
    except (ValueError, KeyError) as error:
        raise AssertionError(f"{command} ended with {ended.returncode}: {ended.stdout}{ended.stderr}") from error


def inspector(how, target):
    # --strict: the schemas have no errors that keep some model's API from taking them.
    listed, code = inspect(target, "--method", "tools/list", "--strict")
    assert code == 0 and TOOLS <= {it["name"] for it in listed["tools"]}, listed
    for tool in listed["tools"]:
        assert tool["description"] and tool["title"] and tool["inputSchema"]["type"] == "object", tool
        assert "readOnlyHint" in tool["annotations"], tool

    def call(name, arguments, *more):
        named = ["--tool-name", name, "--tool-args-json", json.dumps(arguments)]
        return inspect(target, "--method", "tools/call", *named, *more)

    for era in ["legacy", "modern"]:
        result, code = call("test_simple_text", {}, "--protocol-era", era)
        assert code == 0 and "structuredContent" not in result, result
        assert result["content"] == [{"type": "text", "text": TEXT}], result
    result, code = call("test_error_handling", {})
    assert code != 0 and result["isError"] and result["content"][0]["text"] == FAILED, result
    result, code = call("test_image_content", {})
    assert code == 0 and result["content"][0]["mimeType"] == "image/png", result
    result, code = call("run_batch", BATCH)
    assert code == 0 and not result["isError"], result
    check_batch(result["structuredContent"])
    print(f"the inspector's CLI over {how}: {len(listed['tools'])} tools, 5 calls")


async def python(how, server, mode):
    async with Client(server, mode=mode) as client:
        listed = await client.list_tools()
        assert TOOLS <= {tool.name for tool in listed.tools}, listed
        read = next(tool for tool in listed.tools if tool.name == "read_text_file")
        assert read.annotations.read_only_hint and not read.output_schema, read

        result = await client.call_tool("read_text_file", {"path": "notes/b.txt"})
        assert result.content[0].text == "the needle is here\n", result
        # The client checks structured content against the output schema itself.
        result = await client.call_tool("list_directory", {"path": "notes"})
        assert [it["name"] for it in result.structured_content["result"]] == ["b.txt"], result
        result = await client.call_tool("test_error_handling", {})
        assert result.is_error and result.content[0].text == FAILED, result
        result = await client.call_tool("read_text_file", {"path": "../elsewhere"})
        assert result.is_error and "not permitted" in result.content[0].text, result

        steps = []

        async def told(progress, total, message):
            steps.append((progress, message))

        await client.call_tool("test_tool_with_progress", {}, progress_callback=told)
        for _ in range(100):
            if steps and steps[-1][1] == "done":
                break
            await asyncio.sleep(0.05)
        assert [it[0] for it in steps] == sorted({it[0] for it in steps}) and len(steps) >= 5, steps
        assert steps[0][1] == "queued" and steps[-1][1] == "done", steps

        result = await client.call_tool("run_batch", BATCH)
        check_batch(result.structured_content)
        many = await asyncio.gather(*(client.call_tool("test_simple_text", {}) for _ in range(100)))
        assert all(it.content[0].text == TEXT for it in many)
        print(f"the Python client over {how}, {client.protocol_version}: {len(listed.tools)} tools, 106 calls")


class Complaints(logging.Handler):
    """What the client has to say of the server, which people would see."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


async def main():
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    over_stdio = StdioServerParameters(command=STDIO[0], args=STDIO[1:])
    inspector("stdio", STDIO)
    inspector("HTTP", [URL])
    for how, server in [("stdio", over_stdio), ("HTTP", URL)]:
        for mode in ["legacy", "auto"]:
            await python(how, server, mode)
    assert not complaints.said, complaints.said


asyncio.run(main())
