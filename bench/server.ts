// The built `holdline serve` in a process of its own, and connections to it that stay open.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, request as ask } from "node:http";
import type { IncomingMessage } from "node:http";
import { fileURLToPath } from "node:url";
import { memoryKb } from "./processes.js";

export interface Served {
  readonly url: string;
  /** Its memory now, in KiB. */
  readonly rssKb: () => number;
  readonly stop: () => Promise<void>;
}

const main = fileURLToPath(new URL("../main.cjs", import.meta.url));

export async function startServed(coordinator: string, stateDir: string): Promise<Served> {
  const settings = { HOLDLINE_COORDINATOR: coordinator, HOLDLINE_STATE_DIR: stateDir, HOLDLINE_SERVE_RATE: "0" };
  const child = spawn(process.execPath, [main, "--json", "serve", "--listen", "127.0.0.1:0"], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...settings, HOLDLINE_LOG_LEVEL: "error" },
  });
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (words += text));
  const ended = once(child, "exit");
  const first = once(child.stdout.setEncoding("utf8"), "data") as Promise<[string]>;
  const line = await Promise.race([first, ended.then(() => null)]);
  if (line === null) throw new Error(`the server ended: ${words}`);
  const { url } = JSON.parse(line[0]) as { readonly url: string };
  return {
    url,
    rssKb: () => memoryKb(child.pid, "VmRSS"),
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

export interface Begun {
  readonly answered: Promise<IncomingMessage>;
  readonly end: () => void;
}

/** One connection, with one request at a time. */
export interface Connection {
  /** Asks, and gives the answer's text. @throws when the status is no success */
  ask(method: string, path: string, body?: object): Promise<string>;
  /** Asks for something that is answered much later or never ends, and gives the function that ends it. */
  begin(method: string, path: string, body?: object): Begun;
  close(): void;
}

export function openConnection(url: string): Connection {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const begin = (method: string, path: string, body?: object): Begun => {
    const text = body === undefined ? null : JSON.stringify(body);
    const headers = text === null ? {} : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) };
    const request = ask(`${url}${path}`, { method, agent, headers });
    const answered = once(request, "response").then(([response]) => response as IncomingMessage);
    request.end(text ?? undefined);
    return { answered, end: () => void request.destroy() };
  };
  return {
    begin,
    async ask(method, path, body) {
      const response = await begin(method, path, body).answered;
      let text = "";
      for await (const chunk of response.setEncoding("utf8")) text += String(chunk);
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) throw new Error(`${method} ${path} was answered with ${status}: ${text}`);
      return text;
    },
    close: () => agent.destroy(),
  };
}
