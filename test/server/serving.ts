// Servers as their users meet them: `holdline serve` of the built program on a fleet's store, asked over HTTP.
import { onTestFinished } from "vitest";
import { until } from "../support/wait.js";
import type { Cli, Fleet, Node, NodeOptions } from "../e2e/nodes.js";

export interface Serving {
  readonly url: string;
  readonly node: Node;
  readonly cli: Cli;
  /** Asks it; a body is sent as JSON. */
  readonly ask: (method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>) => Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The text as JSON; an error where it is none. */
  readonly json: unknown;
}

export interface ServingOptions extends NodeOptions {
  readonly args?: readonly string[];
}

/** Starts a server on a free port; it ends with the test. */
export async function startServer(fleet: Fleet, name = "server", { args = [], ...options }: ServingOptions = {}): Promise<Serving> {
  const node = fleet.node(name, {}, options);
  const cli = node.start("serve", "--json", "--listen", "127.0.0.1:0", ...args);
  onTestFinished(async () => {
    cli.kill("SIGKILL");
    await cli.ended;
  });
  const ended = { value: false };
  void cli.ended.then(() => (ended.value = true));
  const { url } = await until(
    () => {
      if (ended.value) throw new Error(`the server ended: ${cli.stderr()}`);
      return cli.stdout().includes("\n") ? (JSON.parse(cli.stdout()) as { readonly url: string }) : null;
    },
    { what: "the server to listen", deadlineMs: 30_000 },
  );
  return { url, node, cli, ask: (method, path, body, headers = {}) => ask(`${url}${path}`, method, body, headers) };
}

async function ask(url: string, method: string, body: unknown, headers: Readonly<Record<string, string>>): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    get json() {
      return JSON.parse(text) as unknown;
    },
  };
}
