// Sends fetch, node:https and node:http of this process through a proxy, with nothing but Node.
//
// `wiretape` has NODE_OPTIONS load it for CMD, where it does so by itself for Node before 22.21 and
// 24; newer ones know HTTPS_PROXY. Where WIRETAPE_NO_PRELOAD is set nothing is done. A program that
// is running already, as a test, calls `lead` and `leave`: what it has made before is led as well.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const net = require("node:net");
const tls = require("node:tls");

// fetch is undici, which Node loads when it is first touched; its dispatcher stands in a symbol of
// the global object that fetch is from, which a test runner's sandbox has beside one of its own.
const DISPATCHER = Symbol.for("undici.globalDispatcher.1");
const undo = [];

const replace = (holder, name, value) => {
  const usual = holder[name];
  undo.push(() => { holder[name] = usual; });
  holder[name] = value;
};

// Undoes what `lead` has done.
const leave = () => {
  while (undo.length) undo.pop()();
};

// `through` is the proxy's URL, `ca` the file of its authority, where Node has not read that at its start.
const lead = ({ proxy: through, ca }) => {
  leave();
  const proxy = new URL(through);
  if (ca) trust(fs.readFileSync(ca, "utf8"));
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
  for (const [module, wrap] of [[https, secure], [http, plain]]) {
    const { prototype } = module.Agent;
    replace(prototype, "createConnection", bring(prototype.createConnection, wrap));
  }
  leadFetch({ goesPast, tunnel, secure });
};

// Also for clients with an agent of their own, which bring their socket to tls.connect.
const trust = (authority) => {
  const usual = tls.createSecureContext;
  replace(tls, "createSecureContext", (options) => {
    const made = usual(options);
    made.context.addCACert(authority);
    return made;
  });
};

const leadFetch = ({ goesPast, tunnel, secure }) => {
  if (typeof globalThis.fetch !== "function") return;
  const realm = globalThis.fetch.constructor("return globalThis")();
  void realm.Headers;
  const Agent = realm[DISPATCHER] && realm[DISPATCHER].constructor;
  if (!Agent) return;
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
  replace(realm, DISPATCHER, new Agent({ connect }));
};

module.exports = { lead, leave };

const [major, minor] = process.versions.node.split(".").map(Number);
const knows = major > 24 || major === 24 || (major === 22 && minor >= 21);
const { HTTPS_PROXY, WIRETAPE_NO_PRELOAD } = process.env;
// Whom NODE_OPTIONS loads has Node's own module of that name for a parent.
const isPreloaded = module.parent && module.parent.id === "internal/preload";
if (isPreloaded && !knows && HTTPS_PROXY && !WIRETAPE_NO_PRELOAD && !process.versions.bun) {
  lead({ proxy: HTTPS_PROXY });
}
