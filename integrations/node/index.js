// Runs wiretape, the Python program, for this process, and leads this process's clients through it.
// Nothing here decides what a request matches or what is secret: the program does, over a pipe of
// JSON lines (docs/python.md has the protocol).
"use strict";

const { spawn } = require("node:child_process");
const { createInterface } = require("node:readline");
const { randomBytes } = require("node:crypto");

const MODES = ["replay", "auto", "record", "refresh"];

/** The command line of wiretape: WIRETAPE_BIN, else `wiretape` on PATH, else `uvx wiretape`. */
function commands() {
  const chosen = process.env.WIRETAPE_BIN;
  return chosen ? [[chosen]] : [["wiretape"], ["uvx", "wiretape"]];
}

/** Start one of the commands; the first that exists. */
async function start() {
  const tried = [];
  for (const [program, ...rest] of commands()) {
    const child = spawn(program, [...rest, "pipe"], { stdio: ["pipe", "pipe", "pipe"] });
    const error = await new Promise((done) => {
      child.once("error", done);
      child.once("spawn", () => done(null));
    });
    if (!error) return child;
    tried.push(`${program} (${error.code})`);
  }
  throw new Error(
    `wiretape: the program was not found: ${tried.join(", ")}. Install it (\`uv tool install wiretape\`),` +
      " or name it in WIRETAPE_BIN",
  );
}

class Pipe {
  #child;
  #answers;
  #errors = "";
  #turn = Promise.resolve();

  constructor(child) {
    this.#child = child;
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (text) => (this.#errors = (this.#errors + text).slice(-4000)));
    child.stdin.on("error", () => {}); // told by the answer that does not come
    // It is not to keep this process alive; it ends with it.
    for (const part of [child, child.stdin, child.stdout, child.stderr]) part.unref();
  }

  /** One message and its answer, in order; an answer that is an error is thrown. */
  ask(message) {
    const answer = this.#turn.then(() => this.#exchange(message));
    this.#turn = answer.catch(() => {});
    return answer;
  }

  async #exchange(message) {
    this.#child.ref();
    this.#child.stdout.ref();
    try {
      if (message) this.#child.stdin.write(JSON.stringify(message) + "\n");
      const { value, done } = await this.#answers.next();
      if (done) throw new Error(`wiretape ended: ${this.#errors.trim() || "it said nothing"}`);
      const answer = JSON.parse(value);
      if (answer.error) throw new Error(`wiretape: ${answer.error.message}`);
      return answer;
    } finally {
      this.#child.unref();
      this.#child.stdout.unref();
    }
  }

  end() {
    this.#child.stdin.end();
  }
}

class Proxy {
  #pipe;
  #before = new Map();

  constructor(pipe, opened) {
    this.#pipe = pipe;
    this.mode = opened.mode;
    this.recordings = opened.recordings;
    this.client = `node-${randomBytes(6).toString("hex")}`;
    const url = new URL(opened.url);
    url.username = this.client;
    url.password = "x";
    this.url = url.href.replace(/\/$/, "");
    this.environment = { ...opened.environment };
    for (const [name, value] of Object.entries(this.environment)) {
      if (value === opened.url) this.environment[name] = this.url;
    }
    this.#base = opened.base_url;
    this.#opened = opened;
  }
  #base;
  #opened;

  /** Where a client that takes a base URL finds a host: `baseUrl("api.openai.com/v1")`. */
  baseUrl(host) {
    return `${this.#base}/${host}`;
  }

  /** Lead the clients of this process through the proxy: fetch, undici, node:http and node:https. */
  lead() {
    for (const [name, value] of Object.entries(this.environment)) {
      if (name === "NODE_OPTIONS") continue; // read when a process starts
      this.#before.set(name, process.env[name]);
      if (value === null) delete process.env[name];
      else process.env[name] = value;
    }
    require(this.#opened.node_preload).lead({
      proxy: this.url,
      ca: this.environment.NODE_EXTRA_CA_CERTS,
    });
  }

  /** Begin a session: what this process asks until it is finished is in it. */
  async startSession(name, { folder } = {}) {
    const query = new URLSearchParams({ client: this.client, ...(folder ? { folder } : {}) });
    await this.#control("POST", name, `start?${query}`);
  }

  /** End a session: its counts, and `problems`, the text of each miss and loss. */
  finishSession(name) {
    return this.#control("POST", name, "finish");
  }

  async #control(method, name, action) {
    const path = `/wiretape/sessions/${encodeURIComponent(name)}/${action}`;
    const { control } = await this.#pipe.ask({ control: [method, path] });
    if (control.status >= 400) throw new Error(control.document.error.message);
    return control.document;
  }

  /** What has happened so far: counts, exchanges, misses. */
  async report() {
    return (await this.#pipe.ask({ report: true })).report;
  }

  /** End the run and put this process's environment back: its `status`, `problems`, `report`. */
  async close() {
    if (this.#before.size) require(this.#opened.node_preload).leave();
    for (const [name, value] of this.#before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    this.#before.clear();
    const { closed } = await this.#pipe.ask({ close: true });
    this.#pipe.end();
    return closed;
  }
}

/**
 * Start a run: `open({ mode: "replay", recordings: "recordings", arguments: ["--pace", "recorded"] })`.
 * The mode is WIRETAPE_MODE's, else `mode`, else replay; where CI is set, `auto` is replay.
 */
async function open(options = {}) {
  const mode = process.env.WIRETAPE_MODE || options.mode || "replay";
  if (!MODES.includes(mode)) {
    throw new Error(`wiretape: mode ${JSON.stringify(mode)}: expected one of ${MODES.join(", ")}`);
  }
  const pipe = new Pipe(await start());
  const hello = await pipe.ask(null);
  if (hello.wiretape_pipe !== 1) {
    pipe.end();
    throw new Error(
      `wiretape ${hello.version} speaks pipe ${hello.wiretape_pipe}, this package 1: install versions that go together`,
    );
  }
  const recordings = options.recordings ? ["-r", options.recordings] : [];
  const { opened } = await pipe.ask({
    open: {
      arguments: [mode, ...recordings, ...(options.arguments || [])],
      directory: options.directory || process.cwd(),
      environment: { ...process.env },
    },
  });
  return new Proxy(pipe, opened);
}

module.exports = { open };
