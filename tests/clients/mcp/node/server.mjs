// A server of the official SDK: `server.mjs stdio`, or over HTTP, whose port it prints.
//
// `weather` counts its calls and reports its progress, `ask` asks the client's user, and `late`
// closes the stream of its answer before it has answered: the client resumes it.
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';

// The SDK's example of a store puts the events of one millisecond in any order.
class EventStore {
  events = new Map();
  async storeEvent(stream, message) {
    const id = randomUUID();
    this.events.set(id, { stream, message });
    return id;
  }
  async replayEventsAfter(last, { send }) {
    const { stream } = this.events.get(last);
    let seen = false;
    for (const [id, event] of this.events) {
      if (seen && event.stream === stream) await send(id, event.message);
      seen ||= id === last;
    }
    return stream;
  }
}

const text = (text) => ({ content: [{ type: 'text', text }] });

function tools() {
  const server = new McpServer({ name: 'forecast', version: '1.0' });
  let calls = 0;
  server.registerTool('weather', { inputSchema: { city: z.string() } }, async ({ city }, extra) => {
    calls += 1;
    const progressToken = extra._meta?.progressToken;
    await extra.sendNotification({
      method: 'notifications/progress',
      params: { progressToken, progress: 1, total: 2 },
    });
    return text(`${city}: ${calls}`);
  });
  server.registerTool('ask', { inputSchema: { question: z.string() } }, async ({ question }) => {
    const requestedSchema = { type: 'object', properties: { answer: { type: 'string' } } };
    const said = await server.server.elicitInput({ message: question, requestedSchema });
    return text(`the user said ${said.content.answer}`);
  });
  server.registerTool('late', { inputSchema: {} }, async (_, extra) => {
    extra.closeSSEStream?.();
    return text('late');
  });
  return server;
}

if (process.argv[2] === 'stdio') {
  await tools().connect(new StdioServerTransport());
} else {
  const transports = new Map();
  const http = createServer(async (request, response) => {
    let transport = transports.get(request.headers['mcp-session-id']);
    if (!transport) {
      transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        eventStore: new EventStore(),
        retryInterval: 10,
        onsessioninitialized: (id) => transports.set(id, transport),
      });
      await tools().connect(transport);
    }
    await transport.handleRequest(request, response);
  });
  http.listen(0, '127.0.0.1', () => console.log(http.address().port));
}
