// tus-js-client against the server at POWER_URL: chunks, parallel parts that are joined, a stop and a resume, an end.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import * as tus from "tus-js-client";

const endpoint = process.env.POWER_URL + "/api/uploads";
const data = randomBytes(3_000_000);

function upload(options, started) {
  return new Promise((resolve, reject) => {
    const one = new tus.Upload(data, { endpoint, retryDelays: [0, 100, 500], onError: reject, onSuccess: () => resolve(one), ...options });
    started?.(one, resolve);
    one.start();
  });
}

async function check(url, name) {
  const facts = await (await fetch(url)).json();
  assert.equal(facts.status, "complete", JSON.stringify(facts));
  assert.equal(facts.filename, name);
  const bytes = Buffer.from(await (await fetch(facts.file.download_url)).arrayBuffer());
  assert.ok(bytes.equals(data), name + " differs");
}

const metadata = (filename) => ({ filename, session_id: "tus-js" });
await check((await upload({ metadata: metadata("whole.bin") })).url, "whole.bin");
await check((await upload({ metadata: metadata("chunks.bin"), chunkSize: 400_000 })).url, "chunks.bin");
await check((await upload({ metadata: metadata("with-creation.bin"), uploadDataDuringCreation: true, chunkSize: 1_000_000 })).url, "with-creation.bin");
await check((await upload({ metadata: metadata("joined.bin"), parallelUploads: 3 })).url, "joined.bin");

// Stopped in the middle of a chunk, then resumed from its URL alone.
const stopped = await upload({ metadata: metadata("resumed.bin"), chunkSize: 500_000 }, (one, resolve) => {
  one.options.onChunkComplete = (size, sent) => {
    if (sent >= 1_000_000) one.abort().then(() => resolve(one));
  };
});
const resumed = await upload({ uploadUrl: stopped.url, chunkSize: 700_000 });
await check(resumed.url, "resumed.bin");

const ended = await upload({ metadata: metadata("ended.bin"), chunkSize: 500_000 }, (one, resolve) => {
  one.options.onChunkComplete = () => one.abort(true).then(() => resolve(one));
});
assert.ok([404, 410].includes((await fetch(ended.url)).status));
console.log("tus-js-client: whole, chunks, creation with upload, joined, resumed, ended");
