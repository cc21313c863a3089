"use strict";

const { after, afterEach, before, beforeEach } = require("node:test");
const { use } = require("./runner.js");

/** Replay the requests of this file's tests, each test in a session of its own. */
function useWiretape(options) {
  const current = (context) => ({
    file: context.filePath || process.argv[1] || "test",
    names: [context.fullName || context.name],
  });
  // Its hooks take options where other runners take milliseconds.
  const [beforeAll, afterAll, each, afterOne] = [before, after, beforeEach, afterEach].map(
    (add) => (hook, timeout) => add(hook, { timeout }),
  );
  return use({ beforeAll, afterAll, beforeEach: each, afterEach: afterOne, current }, options);
}

module.exports = { useWiretape };
