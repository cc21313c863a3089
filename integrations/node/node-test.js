"use strict";

const { after, afterEach, before, beforeEach } = require("node:test");
const { use } = require("./runner.js");

/** Replay the requests of this file's tests, each test in a session of its own. */
function useWiretape(options) {
  const current = (context) => ({
    file: context.filePath || process.argv[1] || "test",
    names: [context.fullName || context.name],
  });
  return use({ beforeAll: before, afterAll: after, beforeEach, afterEach, current }, options);
}

module.exports = { useWiretape };
