// Asking a Prometheus for its alerts: a small server of the test's own that answers as Prometheus's API documents, and as no
// Prometheus does.
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { lookForAlerts } from "../../../src/actions/facts/alerts.js";
import type { PrometheusBlocker } from "../../../src/actions/machine.js";
import { failOnLeaks } from "../../support/leaks.js";

failOnLeaks();

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function answering(status: number, body: unknown): RequestListener {
  return (_, response) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  };
}

function alert(alertname: string, state: "firing" | "pending" | "inactive" = "firing") {
  return {
    ...{ labels: { alertname, severity: "page", instance: "web-07:9100" }, annotations: { summary: "it is down" } },
    ...{ state, activeAt: "2026-06-01T10:00:00Z", value: "1e+00" },
  };
}

function alerting(...alerts: readonly ReturnType<typeof alert>[]): RequestListener {
  return answering(200, { status: "success", data: { alerts } });
}

const look = (url: string, changes: Partial<PrometheusBlocker> = {}, signal?: AbortSignal) =>
  lookForAlerts({ type: "prometheus", name: "p", alerts: null, ignore: null, timeoutMs: 60_000, url, ...changes }, signal);

test("alerts that fire count, each name once, and pending ones do not", async () => {
  const host = await serve(alerting(alert("NodeDown"), alert("DiskFull"), alert("NodeDown"), alert("Slow", "pending")));
  expect(await look(`http://${host}`)).toEqual({ type: "prometheus", name: "p", alerts: ["DiskFull", "NodeDown"] });
});

test.each<readonly [Partial<PrometheusBlocker>, readonly string[]]>([
  [{ alerts: "^Node" }, ["NodeDown", "NodeSlow"]],
  // Anywhere in the name, as kured has it.
  [{ alerts: "Slow" }, ["NodeSlow"]],
  [{ ignore: "^Watchdog$" }, ["NodeDown", "NodeSlow"]],
  [{ alerts: "^Node", ignore: "Slow" }, ["NodeDown"]],
  [{ alerts: "^X" }, []],
])("%j picks by name", async (patterns, alerts) => {
  const host = await serve(alerting(alert("NodeDown"), alert("NodeSlow"), alert("Watchdog")));
  expect(await look(`http://${host}`, patterns)).toMatchObject({ alerts });
});

test("it is asked below its path, with the name and password that the URL has", async () => {
  const asked: (string | undefined)[] = [];
  const host = await serve((request, response) => {
    asked.push(request.url, request.headers.authorization);
    alerting()(request, response);
  });
  await look(`http://ann:p%40ss@${host}/prometheus/`);
  await look(`http://${host}`);
  expect(asked).toEqual(["/prometheus/api/v1/alerts", `Basic ${btoa("ann:p@ss")}`, "/api/v1/alerts", undefined]);
});

test.each<readonly [string, RequestListener, string]>([
  ["an error", answering(503, "<html>"), "answered 503"],
  ["an error in words", answering(422, { status: "error", errorType: "x", error: "no such thing" }), "answered 422: no such thing"],
  ["no JSON", answering(200, "<html>"), 'answered, but not as Prometheus does: "<html>"'],
  ["another answer", answering(200, { status: "success", data: [] }), "answered, but not as Prometheus does"],
  [
    "an alert without a name",
    answering(200, { status: "success", data: { alerts: [{ state: "firing", labels: {} }] } }),
    "not as Prometheus does",
  ],
  [
    "an alert without a state",
    answering(200, { status: "success", data: { alerts: [{ labels: { alertname: "A" } }] } }),
    "not as Prometheus does",
  ],
  [
    "an end in the middle",
    (_, response) => response.writeHead(200, { "content-length": "100" }).end("{").destroy(),
    "could not be asked",
  ],
])("%s blocks, and the password stands nowhere", async (_, listener, words) => {
  const host = await serve(listener);
  const fact = await look(`http://ann:secret@${host}`);
  expect(fact).toMatchObject({ problem: expect.stringContaining(words) as string });
  expect(fact).toMatchObject({ problem: expect.stringContaining(host) as string });
  expect(JSON.stringify(fact)).not.toContain("secret");
});

test("a server that is not there blocks", async () => {
  const host = await serve(alerting());
  const closed = host.replace(/:\d+$/, ":2");
  expect(await look(`http://ann:secret@${closed}`)).toMatchObject({
    problem: expect.stringMatching(/^127\.0\.0\.1:2 could not be asked: .*ECONNREFUSED/) as string,
  });
});

test("one that does not answer in time blocks, also in the middle of its answer", async () => {
  const silent = await serve(() => undefined);
  expect(await look(`http://${silent}`, { timeoutMs: 100 })).toMatchObject({
    problem: `${silent} did not answer within 0.1 s`,
  });
  const stuck = await serve((_, response) => void response.writeHead(200).write("{"));
  expect(await look(`http://${stuck}`, { timeoutMs: 100 })).toMatchObject({ problem: `${stuck} did not answer within 0.1 s` });
});

test("an answer without an end blocks long before its time is over", async () => {
  const host = await serve((_, response) => {
    response.writeHead(200);
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(1_048_576, " ")));
    };
    response.on("drain", more);
    more();
  });
  expect(await look(`http://${host}`)).toMatchObject({ problem: `${host} answered with more than 32 MiB` });
});

test("an answer that was packed to be large blocks as well", async () => {
  const packed = gzipSync(Buffer.alloc(64 * 1_048_576, " "));
  const host = await serve((_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(packed));
  expect(await look(`http://${host}`)).toMatchObject({ problem: `${host} answered with more than 32 MiB` });
});

test("a stop request ends the question", async () => {
  const stop = new AbortController();
  const host = await serve(() => stop.abort(new Error("stopped")));
  await expect(look(`http://${host}`, {}, stop.signal)).rejects.toThrow("stopped");
});
