import type { Options, WiretapeProxy } from "./index.js";

export interface RunnerOptions extends Options {
  /** Folder below the recordings that all tests of the file share; default one a test. */
  folder?: string;
}

/** Replay the requests of this file's tests; a request that no recording answers fails its test. */
export function useWiretape(options?: RunnerOptions): {
  readonly proxy: WiretapeProxy;
  readonly session: string;
};
