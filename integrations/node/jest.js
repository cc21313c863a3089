"use strict";

const { use } = require("./runner.js");

/** Replay the requests of this file's tests, each test in a session of its own. */
function useWiretape(options) {
  const { afterAll, afterEach, beforeAll, beforeEach, expect } = globalThis;
  const current = () => {
    const { currentTestName, testPath } = expect.getState();
    return { file: testPath, names: [currentTestName] };
  };
  // Jest takes a hook with a parameter for one that calls back.
  const each = (hook, milliseconds) => beforeEach(() => hook(), milliseconds);
  return use({ beforeAll, afterAll, beforeEach: each, afterEach, current }, options);
}

module.exports = { useWiretape };
