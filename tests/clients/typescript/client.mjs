// The official TypeScript SDK, version 1, against the server at POWER_URL. With a number of seconds as argument: only
// one cell of that length, kept alive by progress.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const client = new Client({ name: "typescript-client-test", version: "1" });
await client.connect(new StreamableHTTPClientTransport(new URL(process.env.POWER_URL + "/mcp")));
const texts = (result) => result.content.filter((b) => b.type === "text").map((b) => b.text).join("\n");
const session_id = "typescript-sdk";

const seconds = Number(process.argv[2] ?? 0);
if (seconds) {
  let ticks = 0;
  const code = `import time\nfor i in range(${seconds}):\n    print('tick', i, flush=True)\n    time.sleep(1)\nprint('all of', ${seconds})`;
  const answer = await client.callTool(
    { name: "execute_code", arguments: { code, session_id: "typescript-long", timeout: seconds + 60 } },
    undefined,
    { onprogress: () => ticks++, resetTimeoutOnProgress: true, timeout: 20_000 },
  );
  assert.ok(!answer.isError && texts(answer).includes(`all of ${seconds}`), texts(answer));
  await client.close();
  console.log(seconds, "s,", ticks, "progress messages");
  process.exit(0);
}

const { tools } = await client.listTools();
for (const name of ["execute_code", "create_session", "list_files", "fetch_file", "fetch_from_url", "query_dataset"])
  assert.ok(tools.some((tool) => tool.name === name), name);

const first = await client.callTool({ name: "execute_code", arguments: { code: "x = 20\nx + 22", session_id } });
assert.ok(!first.isError && texts(first).includes("42"), texts(first));

const chart = await client.callTool({ name: "execute_code", arguments: { code: "plt.plot([1, 2, x]); plt.show()", session_id } });
assert.equal(chart.content.filter((b) => b.type === "image" && b.mimeType === "image/png").length, 1, texts(chart));

const wrong = await client.callTool({ name: "execute_code", arguments: { code: "1 / 0", session_id } });
assert.ok(wrong.isError && texts(wrong).includes("ZeroDivisionError"));

const upload = await client.callTool({
  name: "upload_file",
  arguments: { filename: "data.csv", content_base64: Buffer.from("a,b\n1,2\n").toString("base64"), session_id },
});
assert.equal(upload.structuredContent.filename, "data.csv");
const download = await fetch(upload.structuredContent.download_url);
assert.equal(await download.text(), "a,b\n1,2\n");

const seen = [];
const slow = await client.callTool(
  { name: "execute_code", arguments: { code: "import time\nfor i in range(4):\n    print('step', i, flush=True)\n    time.sleep(0.5)", session_id } },
  undefined,
  { onprogress: (p) => seen.push(p.message) },
);
assert.ok(texts(slow).includes("step 3"));
assert.ok(seen.some((m) => m?.includes("step")), "progress carries live output");
await client.callTool({ name: "delete_session", arguments: { session_id } });
await client.close();
console.log(tools.length, "tools,", seen.length, "progress messages");
