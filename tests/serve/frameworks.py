"""What LangGraph and the OpenAI Agents SDK have for MCP servers lists and calls the tools of `inorder serve`.

Run by clients.sh, which sets INORDER, PLUGIN, ROOT and URL. Each is made as the README shows. No model is asked: its calls are written
here.
"""

import asyncio
import os

from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from langchain_mcp_adapters.client import MultiServerMCPClient

COMMAND = os.environ["INORDER"]
ARGS = ["serve", "--no-audit", "--root", os.environ["ROOT"], "--plugin", os.environ["PLUGIN"]]

TOOLS = {"run_batch", "read_text_file", "test_simple_text"}
TEXT = "This is a simple text response for testing."


async def langgraph():
    stdio = {"transport": "stdio", "command": COMMAND, "args": ARGS}
    http = {"transport": "streamable_http", "url": os.environ["URL"]}
    for how, server in [("stdio", stdio), ("HTTP", http)]:
        tools = await MultiServerMCPClient({"inorder": server}).get_tools()
        by_name = {tool.name: tool for tool in tools}
        assert TOOLS <= set(by_name), by_name.keys()
        call = {"type": "tool_call", "id": "1", "args": {"path": "notes/b.txt"}, "name": "read_text_file"}
        message = await by_name["read_text_file"].ainvoke(call)
        assert message.status == "success" and "the needle is here" in str(message.content), message
        call = {"type": "tool_call", "id": "2", "args": {"calls": [{"tool": "test_simple_text"}]}, "name": "run_batch"}
        message = await by_name["run_batch"].ainvoke(call)
        assert TEXT in str(message.content), message
        print(f"langchain-mcp-adapters over {how}: {len(tools)} tools, 2 calls")


async def openai():
    stdio = MCPServerStdio(params={"command": COMMAND, "args": ARGS})
    http = MCPServerStreamableHttp(params={"url": os.environ["URL"]})
    for how, server in [("stdio", stdio), ("HTTP", http)]:
        async with server:
            tools = await server.list_tools()
            assert TOOLS <= {tool.name for tool in tools}, tools
            result = await server.call_tool("read_text_file", {"path": "notes/b.txt"})
            assert not result.isError and result.content[0].text == "the needle is here\n", result
            result = await server.call_tool("run_batch", {"calls": [{"tool": "test_simple_text"}]})
            assert result.structuredContent["results"][0]["value"] == TEXT, result
            print(f"the OpenAI Agents SDK over {how}: {len(tools)} tools, 2 calls")


asyncio.run(langgraph())
asyncio.run(openai())
