// A server before dynalite that does to single requests what the service does when it stumbles: it says no, or it does what is asked and
// says no all the same.
import { once } from "node:events";
import { createServer } from "node:http";
import { onTestFinished } from "vitest";

export interface Stumble {
  /** Which request, by its action and its body. */
  readonly at: (action: string, body: string) => boolean;
  readonly status: number;
  readonly type: string;
  readonly message?: string;
  /** Whether the request takes effect. */
  readonly takesEffect: boolean;
}

/** @returns its address; `next` has the next such request stumble, `actions` are those that came, in their order */
export async function startStumbling(server: { readonly host: string; readonly port: number }): Promise<{
  readonly address: string;
  readonly actions: string[];
  next(stumble: Stumble): void;
}> {
  const stumbles: Stumble[] = [];
  const actions: string[] = [];
  const proxy = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.once("end", () => void answer(Buffer.concat(chunks).toString("utf8")));
    const answer = async (body: string): Promise<void> => {
      const action = String(request.headers["x-amz-target"]).replace(/^.*\./, "");
      actions.push(action);
      const found = stumbles.findIndex(({ at }) => at(action, body));
      const stumble = found < 0 ? undefined : stumbles.splice(found, 1)[0];
      const pass = async () => {
        const headers = { ...request.headers } as Record<string, string>;
        for (const name of ["host", "connection", "content-length"]) delete headers[name];
        return fetch(`http://${server.host}:${server.port}/`, { method: "POST", headers, body });
      };
      if (stumble === undefined) {
        const passed = await pass();
        response.writeHead(passed.status).end(await passed.text());
        return;
      }
      if (stumble.takesEffect) await (await pass()).text();
      response
        .writeHead(stumble.status)
        .end(JSON.stringify({ __type: `com.amazon#${stumble.type}`, message: stumble.message ?? "" }));
    };
  });
  proxy.listen(0, server.host);
  await once(proxy, "listening");
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const address = `${server.host}:${(proxy.address() as { port: number }).port}`;
  return { address, actions, next: (stumble) => void stumbles.push(stumble) };
}
