"""The official Python SDK of the previous major version against POWER_URL, over Streamable HTTP and over HTTP+SSE.

client.py [--long SECONDS [--sse]]: with --long only one cell of so many seconds, kept alive by progress.
"""
import argparse
import asyncio
import datetime
import os

from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamablehttp_client

URL = os.environ["POWER_URL"]
LONG = "import time\nfor i in range({0}):\n    print('tick', i, flush=True)\n    time.sleep(1)\nprint('all of', {0})"


def texts(result):
    return "\n".join(block.text for block in result.content if block.type == "text")


async def call(session, name, seen=None, limit=60, **arguments):
    async def progress(done, total, message):
        seen.append(message)

    return await session.call_tool(name, arguments, read_timeout_seconds=datetime.timedelta(seconds=limit),
                                   progress_callback=progress if seen is not None else None)


async def work(session, way):
    names = {tool.name for tool in (await session.list_tools()).tools}
    assert {"execute_code", "create_session", "list_files", "fetch_file", "fetch_from_url"} <= names, names
    first = await call(session, "execute_code", code="x = 20\nx + 22", session_id=way)
    assert "42" in texts(first) and not first.isError, texts(first)
    chart = await call(session, "execute_code", code="plt.plot([1, 2, x])\nplt.show()", session_id=way)
    assert [block.mimeType for block in chart.content if block.type == "image"] == ["image/png"], texts(chart)
    wrong = await call(session, "execute_code", code="1 / 0", session_id=way)
    assert wrong.isError and "ZeroDivisionError" in texts(wrong)
    seen = []
    slow = await call(session, "execute_code", seen, code=LONG.format(3), session_id=way)
    assert "all of 3" in texts(slow) and any("tick" in (message or "") for message in seen), (texts(slow), seen)
    gone = await call(session, "delete_session", session_id=way)
    assert not gone.isError, texts(gone)
    print(way, len(names), "tools,", len(seen), "progress messages")


async def long(session, way, seconds):
    seen = []
    answer = await call(session, "execute_code", seen, seconds + 60, code=LONG.format(seconds), session_id=way + "-long", timeout=seconds + 60)
    assert f"all of {seconds}" in texts(answer) and not answer.isError, texts(answer)
    assert len(seen) >= seconds // 10, seen
    print(way, seconds, "s,", len(seen), "progress messages")


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", type=int, default=0)
    parser.add_argument("--sse", action="store_true")
    options = parser.parse_args()
    ways = {"python-v1-http": lambda: streamablehttp_client(URL + "/mcp", sse_read_timeout=options.long + 120),
            "python-v1-sse": lambda: sse_client(URL + "/mcp/sse", sse_read_timeout=options.long + 120)}
    if options.long:
        ways.pop("python-v1-http" if options.sse else "python-v1-sse")
    for way, connect in ways.items():
        async with connect() as streams, ClientSession(streams[0], streams[1]) as session:
            await session.initialize()
            if options.long:
                await long(session, way, options.long)
            else:
                await asyncio.wait_for(work(session, way), 100)


asyncio.run(main())
