// What the test runners share: one run a process, a session a test, and a miss that fails the test.
"use strict";

const path = require("node:path");
const { open } = require("./index.js");

/** A part of a session's name from a test's or a file's. */
function part(text) {
  const name = text.replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^[-_]+|[-_]+$/g, "");
  return name.slice(0, 80) || "test";
}

/** The session of a test: "cart.test/pays-by-card" for "pays by card" in cart.test.ts. */
function sessionOf(file, names) {
  const module = path.basename(file).replace(/\.[cm]?[jt]sx?$/, "");
  return `${part(module)}/${part(names.join("-"))}`;
}

/** A miss, as the test that caused it shows it. */
class WiretapeMiss extends Error {
  constructor(problems) {
    super(problems.join("\n\n"));
    this.name = "WiretapeMiss";
    this.stack = `${this.name}: ${this.message}`; // where it was noticed says nothing
  }
}

// A hook starts wiretape or asks it; on a busy machine that takes longer than runners give by
// themselves (5 or 10 seconds).
const HOOK_MILLISECONDS = 120_000;

/** Add the hooks to a runner's; `current` gives the file and the names of the test that runs. */
function use({ beforeAll, afterAll, beforeEach, afterEach, current }, options = {}) {
  let proxy;
  let session;
  const shown = new Set();
  beforeAll(async () => {
    proxy = await open(options);
    proxy.lead();
  }, HOOK_MILLISECONDS);
  beforeEach(async (context) => {
    const { file, names } = current(context);
    session = sessionOf(file, names);
    await proxy.startSession(session, { folder: options.folder });
  }, HOOK_MILLISECONDS);
  afterEach(async () => {
    const { problems } = await proxy.finishSession(session);
    problems.forEach((problem) => shown.add(problem));
    if (problems.length) throw new WiretapeMiss(problems);
  }, HOOK_MILLISECONDS);
  afterAll(async () => {
    if (!proxy) return;
    const { problems } = await proxy.close();
    // What was asked between the tests, as in a hook, fails the file.
    const rest = problems.filter((problem) => !shown.has(problem));
    if (rest.length) throw new WiretapeMiss(rest);
  }, HOOK_MILLISECONDS);
  return { get proxy() { return proxy; }, get session() { return session; } };
}

module.exports = { use, sessionOf, WiretapeMiss };
