// Call tools through the official SDK: `client.mjs URL CITY…`, or `client.mjs stdio CITY… -- COMMAND…`.
//
// Each city has a client of its own, and so a session; they call in turn. Over HTTP the first calls
// `late` as well, and over stdio the user is asked.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const [url, ...rest] = process.argv.slice(2);
const end = rest.indexOf('--');
const cities = end < 0 ? rest : rest.slice(0, end);
const [command, ...args] = end < 0 ? [] : rest.slice(end + 1);

async function connected() {
  const client = new Client({ name: 'test', version: '1.0' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, async (request) => ({
    action: 'accept',
    content: { answer: process.env.SAYS ?? `${request.params.message} yes` },
  }));
  const transport = command
    ? new StdioClientTransport({ command, args, env: process.env, stderr: 'inherit' })
    : new StreamableHTTPClientTransport(new URL(url));
  await client.connect(transport);
  return client;
}

const said = [];
async function call(client, name, args) {
  // On stdio the SDK loses progress that it reads together with the answer.
  const onprogress = ({ progress, total }) => command || said.push([progress, total]);
  const result = await client.callTool({ name, arguments: args }, undefined, { onprogress });
  said.push(result.content[0].text);
}

const clients = [];
for (const _ of cities) clients.push(await connected());
// One more request numbers those after it otherwise.
if (process.env.AGAIN) await clients[0].listTools();
said.push((await clients[0].listTools()).tools.map((tool) => tool.name));
for (const [index, client] of clients.entries()) await call(client, 'weather', { city: cities[index] });
for (const client of clients) await call(client, 'weather', { city: 'Oslo' });
if (command) await call(clients[0], 'ask', { question: 'sure?' });
else await call(clients[0], 'late', {});
console.log(JSON.stringify(said));
for (const client of clients) await client.close();
process.exit(0);
