// Sends what Node before 22.21 and 24 would send past HTTPS_PROXY through it: fetch, node:https and
// node:http. `wiretape` has NODE_OPTIONS load it for CMD; newer Nodes do it by themselves, and where
// WIRETAPE_NO_PRELOAD is set nothing is done. It needs nothing but Node.
"use strict";

const [major, minor] = process.versions.node.split(".").map(Number);
const knows = major > 24 || major === 24 || (major === 22 && minor >= 21);
const through = process.env.HTTPS_PROXY;

if (!knows && through && !process.env.WIRETAPE_NO_PRELOAD && !process.versions.bun) {
  const http = require("node:http");
  const https = require("node:https");
  const net = require("node:net");
  const tls = require("node:tls");
  const proxy = new URL(through);
  const past = (process.env.NO_PROXY || "").split(",").map((entry) => entry.trim()).filter(Boolean);

  const goesPast = (host) =>
    past.some((entry) => host === entry || host.endsWith("." + entry.replace(/^\*?\./, "")));

  // A tunnel to host:port; `done` gets an error or the socket.
  const tunnel = (host, port, done) => {
    const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    const headers = { Host: authority };
    if (proxy.username) {
      const login = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
      headers["Proxy-Authorization"] = `Basic ${Buffer.from(login).toString("base64")}`;
    }
    const asked = http.request({
      host: proxy.hostname.replace(/^\[|\]$/g, ""),
      port: proxy.port || 80,
      method: "CONNECT",
      path: authority,
      headers,
      agent: false,
      createConnection: (options) => net.connect(options.port, options.host),
    });
    asked.once("connect", (answer, socket, head) => {
      if (answer.statusCode !== 200) {
        socket.destroy();
        done(new Error(`the proxy answered CONNECT ${authority} with ${answer.statusCode}`));
        return;
      }
      if (head.length) socket.unshift(head);
      done(null, socket);
    });
    asked.once("response", (answer) => {
      answer.resume();
      done(new Error(`the proxy answered CONNECT ${authority} with ${answer.statusCode}`));
    });
    asked.once("error", done);
    asked.end();
  };

  const secure = (options, host, socket, done) => {
    const servername = options.servername || (net.isIP(host) ? undefined : host);
    const over = tls.connect({ ...options, host: undefined, port: undefined, socket, servername });
    over.once("secureConnect", () => done(null, over));
    over.once("error", done);
  };

  const bring = (usual, wrap) =>
    function createConnection(options, ...rest) {
      const done = rest.find((item) => typeof item === "function");
      const host = options.host || options.hostname;
      if (!host || !done || options.socketPath || options.socket || goesPast(host)) {
        return usual.call(this, options, ...rest);
      }
      let told = false;
      const once = (error, socket) => {
        if (!told) done(error, socket);
        told = true;
      };
      tunnel(host, options.port || options.defaultPort, (error, socket) => {
        if (error) once(error);
        else wrap(options, host, socket, once);
      });
      return undefined;
    };

  const plain = (_options, _host, socket, done) => done(null, socket);
  https.Agent.prototype.createConnection = bring(https.Agent.prototype.createConnection, secure);
  http.Agent.prototype.createConnection = bring(http.Agent.prototype.createConnection, plain);

  // fetch is undici, which Node loads when it is first touched; its dispatcher stands in a symbol.
  const symbol = Symbol.for("undici.globalDispatcher.1");
  if (typeof globalThis.fetch === "function") {
    void globalThis.Headers;
    const Agent = globalThis[symbol] && globalThis[symbol].constructor;
    if (Agent) {
      const connect = (options, done) => {
        const port = options.port || (options.protocol === "https:" ? 443 : 80);
        const host = options.hostname.replace(/^\[|\]$/g, "");
        const finish = (error, socket) => {
          if (error) done(error);
          else if (options.protocol === "https:") {
            secure({ servername: options.servername, ALPNProtocols: ["http/1.1"] }, host, socket, done);
          } else done(null, socket);
        };
        if (goesPast(host)) {
          const socket = net.connect(port, host, () => finish(null, socket));
          socket.once("error", done);
        } else tunnel(host, port, finish);
      };
      globalThis[symbol] = new Agent({ connect });
    }
  }
}
