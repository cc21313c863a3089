/** What a run is started with. */
export interface Options {
  /** replay (default), auto, record or refresh; the variable WIRETAPE_MODE goes before it. */
  mode?: "replay" | "auto" | "record" | "refresh";
  /** Folder of the recordings; default what config.yaml says, else "recordings". */
  recordings?: string;
  /** Further arguments of the command, such as ["--pace", "recorded"]. */
  arguments?: string[];
  /** Where config.yaml and the recordings are looked for; default the working directory. */
  directory?: string;
}

/** What a session came to. */
export interface Session {
  name: string;
  recordings: number;
  counts: Record<string, number>;
  used: string[];
  unused: string[];
  /** The text of each request that no recording answered, and of each that could not be recorded. */
  problems: string[];
}

/** A run, as its end tells it. */
export interface Result {
  /** The exit status the command would have: 0, 3 for a miss, 4 for a loss. */
  status: number;
  summary: string;
  problems: string[];
  report: Record<string, unknown>;
}

export interface WiretapeProxy {
  readonly mode: string;
  readonly recordings: string;
  /** For HTTPS_PROXY, with this process's name as its user. */
  readonly url: string;
  /** What another process needs to go through it; null: the variable is to be removed. */
  readonly environment: Record<string, string | null>;
  baseUrl(host: string): string;
  lead(): void;
  startSession(name: string, options?: { folder?: string }): Promise<void>;
  finishSession(name: string): Promise<Session>;
  report(): Promise<Record<string, unknown>>;
  close(): Promise<Result>;
}

export function open(options?: Options): Promise<WiretapeProxy>;
