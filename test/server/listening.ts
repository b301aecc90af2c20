// Somebody who listens to a server's events. Ends with the test.
import { expect, onTestFinished } from "vitest";
import { until } from "../support/wait.js";

/** An event as a server sends it. */
export interface Told {
  readonly id: string;
  readonly event: string;
  readonly data: {
    readonly lock?: string;
    readonly locks?: readonly { readonly lock: string }[];
    readonly holders?: readonly unknown[];
    readonly waiting?: readonly unknown[];
  };
}

/** Listens to a server; what it has told so far, and the end of it. */
export async function listen(url: string, headers: Readonly<Record<string, string>> = {}) {
  const leaving = new AbortController();
  onTestFinished(() => leaving.abort());
  const response = await fetch(`${url}/v1/events`, { headers, signal: leaving.signal });
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream; charset=utf-8"]);
  const told: Told[] = [];
  const read = async (): Promise<void> => {
    let rest = "";
    for await (const piece of (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
      const blocks = `${rest}${piece}`.split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const fields = new Map(
          block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(": ") + 2)]),
        );
        const [id = "", event, data] = [fields.get("id"), fields.get("event"), fields.get("data")];
        if (event !== undefined && data !== undefined) told.push({ id, event, data: JSON.parse(data) as Told["data"] });
      }
    }
  };
  const ended = read().then(
    () => "ended",
    () => "broken off",
  );
  await until(() => told.length > 0 || headers["Last-Event-ID"] !== undefined, "the first event");
  return { told, ended, leave: () => leaving.abort() };
}
