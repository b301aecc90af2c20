// The log as JSON lines, written by pino. The first line loads pino: most runs of `exec` log nothing, and loading it takes longer
// than such a run.
import type { Log } from "../locks/log.js";

export interface JsonLog {
  readonly log: Log;
  /** Writes text that is no log line, after all earlier log lines. */
  write(text: string): void;
  /** Resolves when every line is written. */
  flush(): Promise<void>;
}

const LEVELS = ["debug", "info", "warn", "error"] as const;
type Level = (typeof LEVELS)[number];

export interface JsonLogOptions {
  readonly level: Level | "silent";
  readonly node: string;
  readonly write: (line: string) => void;
}

export function createJsonLog({ level, node, write }: JsonLogOptions): JsonLog {
  const least = level === "silent" ? LEVELS.length : LEVELS.indexOf(level);
  // Lines from before pino was loaded, in order, each with its own time.
  const early: (string | { readonly level: Level; readonly details: object; readonly message: string; readonly time: number })[] =
    [];
  let pino: Log | null = null;
  let loading: Promise<void> | null = null;
  let saidAt: number | null = null;

  const load = async () => {
    const { default: createPino } = await import("pino");
    const loaded = createPino(
      {
        level,
        base: { node, pid: process.pid },
        formatters: { level: (label) => ({ level: label }) },
        timestamp: () => `,"time":"${new Date(saidAt ?? Date.now()).toISOString()}"`,
      },
      { write },
    );
    for (const line of early) {
      if (typeof line === "string") {
        write(line);
        continue;
      }
      saidAt = line.time;
      loaded[line.level](line.details, line.message);
    }
    saidAt = null;
    pino = loaded;
  };
  const line = (of: Level) => (details: object, message: string) => {
    if (LEVELS.indexOf(of) < least) return;
    if (pino !== null) {
      pino[of](details, message);
      return;
    }
    early.push({ level: of, details, message, time: Date.now() });
    loading ??= load();
  };
  return {
    log: { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") },
    write(text) {
      if (loading === null || pino !== null) write(text);
      else early.push(text);
    },
    async flush() {
      await loading;
    },
  };
}
