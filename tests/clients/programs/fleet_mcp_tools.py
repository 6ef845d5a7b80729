"""Runs inside the venv of setup-fleet-mcp: calls its tools in its own process, one for each line of stdin.

A line is `{"tool": …, "arguments": …}`; what comes back is `{"data": …}` or `{"error": …}`. The first line out is the list of tools.
"""

import asyncio
import importlib
import json
import sys


async def main() -> None:
    """Answers until stdin ends."""
    fastmcp = importlib.import_module("fastmcp")
    server = importlib.import_module("fleet_mcp.__main__").mcp
    async with fastmcp.Client(server) as client:
        say(sorted(tool.name for tool in await client.list_tools()))
        for line in sys.stdin:
            call = json.loads(line)
            try:
                result = await client.call_tool(call["tool"], call["arguments"])
                say({"data": result.structured_content})
            except fastmcp.exceptions.ToolError as error:
                say({"error": str(error)})


def say(value: object) -> None:
    """One line of JSON."""
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
