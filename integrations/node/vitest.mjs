import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import runner from "./runner.js";

function names(task) {
  const above = task.suite && task.suite.name ? names(task.suite) : [];
  return [...above, task.name];
}

const current = ({ task }) => ({ file: task.file.filepath, names: names(task) });

/** Replay the requests of this file's tests, each test in a session of its own. */
export function useWiretape(options) {
  return runner.use({ beforeAll, afterAll, beforeEach, afterEach, current }, options);
}
