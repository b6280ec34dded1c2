"""The official Python SDK against the server at POWER_URL: tools, variables, a chart, an error, both eras.

client.py [--long SECONDS]: only one cell of so many seconds, kept alive by progress, in the modern era.
"""
import argparse
import asyncio
import os

from mcp import Client

URL = os.environ["POWER_URL"] + "/mcp"


def texts(result):
    return "\n".join(block.text for block in result.content if block.type == "text")


async def talk(mode):
    async with Client(URL, mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {"execute_code", "create_session", "list_files", "fetch_file", "fetch_from_url", "query_dataset"} <= tools.keys()
        session = f"python-sdk-{mode}"
        first = await client.call_tool("execute_code", {"code": "x = 20\nx + 22", "session_id": session})
        assert "42" in texts(first) and not first.is_error, texts(first)
        chart = await client.call_tool("execute_code", {"code": "plt.plot([1, 2, x])\nplt.show()", "session_id": session})
        images = [block for block in chart.content if block.type == "image"]
        assert len(images) == 1 and images[0].mime_type == "image/png" and len(images[0].data) > 1000, texts(chart)
        assert chart.content[-1].type == "image", "images come after the text"
        wrong = await client.call_tool("execute_code", {"code": "1 / 0", "session_id": session})
        assert wrong.is_error and "ZeroDivisionError" in texts(wrong)
        made = await client.call_tool("create_session", {"session_id": session})
        assert made.structured_content["session_id"] == session and made.structured_content["limits"]["timeout_s"] > 0
        seen = []

        async def progress(done, total, message):
            seen.append(message)

        slow = await client.call_tool("execute_code", {
            "code": "import time\nfor i in range(4):\n    print('step', i, flush=True)\n    time.sleep(0.5)",
            "session_id": session}, progress_callback=progress)
        assert "step 3" in texts(slow) and any("step" in (m or "") for m in seen), (texts(slow), seen)
        gone = await client.call_tool("delete_session", {"session_id": session})
        assert not gone.is_error, texts(gone)
        print(mode, client.protocol_version, len(tools), "tools,", len(seen), "progress messages")


async def long(seconds):
    seen = []

    async def progress(done, total, message):
        seen.append(message)

    code = f"import time\nfor i in range({seconds}):\n    print('tick', i, flush=True)\n    time.sleep(1)\nprint('all of', {seconds})"
    async with Client(URL, mode="auto", read_timeout_seconds=seconds + 60) as client:
        answer = await client.call_tool("execute_code", {"code": code, "session_id": "python-long", "timeout": seconds + 60},
                                        progress_callback=progress)
        assert f"all of {seconds}" in texts(answer) and not answer.is_error, texts(answer)
        assert len(seen) >= seconds // 10, seen
        print(client.protocol_version, seconds, "s,", len(seen), "progress messages")


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", type=int, default=0)
    seconds = parser.parse_args().long
    if seconds:
        return await long(seconds)
    for mode in ("auto", "legacy"):
        await asyncio.wait_for(talk(mode), 120)


asyncio.run(main())
