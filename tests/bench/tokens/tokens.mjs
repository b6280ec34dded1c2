// What the tool lists cost a model in tokens: per tool, per toolset, in all. POWER_URL names a running server.
// Counted is what clients hand to a model, {name, description, parameters}, with the o200k_base vocabulary (other
// vocabularies differ by some percent). Exit code 1 when a list is above its aim.
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';

const aims = { core: 2500, default: 6000 };
const url = process.env.POWER_URL;
if (!url) {
  console.error('POWER_URL is not set; start this with tests/clients/with_server.py');
  process.exit(2);
}

async function rpc(selection, method) {
  const answer = await fetch(`${url}/mcp?tools=${selection}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { protocolVersion: '2025-11-25', capabilities: {} } }),
  });
  const message = await answer.json();
  if (message.error) throw new Error(message.error.message);
  return message.result;
}

const cost = tool => countTokens(JSON.stringify({ name: tool.name, description: tool.description, parameters: tool.inputSchema }));
const sum = tools => tools.reduce((total, tool) => total + cost(tool), 0);
const line = (name, tools, aim) =>
  console.log(`${name.padEnd(28)} ${String(tools.length).padStart(3)} tools ${String(sum(tools)).padStart(6)} tokens` +
    `${aim ? `  aim ${aim}` : ''}`);

let over = false;
for (const set of ['core', 'files', 'jobs', 'data', 'microsoft', 'extended', 'chatgpt']) {
  const { tools } = await rpc(set, 'tools/list');
  line(set, tools, aims[set]);
  for (const tool of tools) console.log(`  ${tool.name.padEnd(36)} ${String(cost(tool)).padStart(6)}`);
  over ||= sum(tools) > (aims[set] ?? Infinity);
}
for (const set of ['default', 'all']) {
  const { tools } = await rpc(set, 'tools/list');
  line(set, tools, aims[set]);
  over ||= sum(tools) > (aims[set] ?? Infinity);
}
const { instructions } = await rpc('default', 'initialize');
console.log(`instructions ${countTokens(instructions)} tokens`);
const answer = await fetch(`${url}/mcp`, { method: 'POST', body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }) });
console.log(`tools/list on the wire ${(await answer.text()).length} bytes`);
if (over) console.error('above the aim');
process.exit(over ? 1 : 0);
