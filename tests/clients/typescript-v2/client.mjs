// The official TypeScript SDK, version 2, against the server at POWER_URL, in both eras. With a number of seconds as
// argument: only one cell of that length, kept alive by progress, in the modern era.
import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const texts = (result) => result.content.filter((b) => b.type === "text").map((b) => b.text).join("\n");

async function connected(mode) {
  const client = new Client({ name: "typescript-v2-client-test", version: "1" }, { versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(new URL(process.env.POWER_URL + "/mcp")));
  return client;
}

async function work(mode) {
  const client = await connected(mode);
  const session_id = "typescript-v2-" + mode;
  const call = (args, options) => client.callTool({ name: "execute_code", arguments: { session_id, ...args } }, options);
  const { tools } = await client.listTools();
  for (const name of ["execute_code", "create_session", "list_files", "fetch_file", "fetch_from_url"])
    assert.ok(tools.some((tool) => tool.name === name), name);
  const first = await call({ code: "x = 20\nx + 22" });
  assert.ok(!first.isError && texts(first).includes("42"), texts(first));
  const chart = await call({ code: "plt.plot([1, 2, x]); plt.show()" });
  assert.equal(chart.content.filter((b) => b.type === "image" && b.mimeType === "image/png").length, 1, texts(chart));
  const wrong = await call({ code: "1 / 0" });
  assert.ok(wrong.isError && texts(wrong).includes("ZeroDivisionError"));
  const seen = [];
  const slow = await call(
    { code: "import time\nfor i in range(4):\n    print('step', i, flush=True)\n    time.sleep(0.5)" },
    { onprogress: (p) => seen.push(p.message) },
  );
  assert.ok(texts(slow).includes("step 3") && seen.some((m) => m?.includes("step")), "progress carries live output");
  const stop = new AbortController();
  const cut = call({ code: "kept = 1\nwhile True: pass", timeout: 60 }, { signal: stop.signal }).catch((error) => error);
  setTimeout(() => stop.abort(), 1_000);
  assert.ok((await cut) instanceof Error);
  const after = await call({ code: "kept + 1" });
  assert.ok(texts(after).includes("2") && !after.isError, "a cancelled cell is interrupted and keeps the variables: " + texts(after));
  await client.callTool({ name: "delete_session", arguments: { session_id } });
  const version = client.getNegotiatedProtocolVersion();
  await client.close();
  console.log(mode, version, tools.length, "tools,", seen.length, "progress messages");
}

async function long(seconds) {
  const client = await connected("auto");
  let ticks = 0;
  const code = `import time\nfor i in range(${seconds}):\n    print('tick', i, flush=True)\n    time.sleep(1)\nprint('all of', ${seconds})`;
  const answer = await client.callTool(
    { name: "execute_code", arguments: { code, session_id: "typescript-v2-long", timeout: seconds + 60 } },
    { onprogress: () => ticks++, resetTimeoutOnProgress: true, timeout: 20_000 },
  );
  assert.ok(!answer.isError && texts(answer).includes(`all of ${seconds}`), texts(answer));
  await client.close();
  console.log(seconds, "s,", ticks, "progress messages");
}

const seconds = Number(process.argv[2] ?? 0);
if (seconds) await long(seconds);
else for (const mode of ["auto", "legacy"]) await work(mode);
process.exit(0);
