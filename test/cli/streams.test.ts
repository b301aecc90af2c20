import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { getMaxListeners } from "node:events";
import { expect, test } from "vitest";
import { InterruptedError } from "../../src/actions/stop.js";
import { openIo, paintFor } from "../../src/cli/io.js";
import { openStopRequests } from "../../src/cli/stop.js";

function processLike(env: Record<string, string>, isTTY: boolean) {
  const stream = () => Object.assign(new PassThrough(), { isTTY, columns: 100 }) as unknown as NodeJS.WriteStream;
  return { stdout: stream(), stderr: stream(), env };
}

test.each([
  [{}, true, true],
  [{}, false, false],
  [{ NO_COLOR: "1" }, true, false],
  [{ NO_COLOR: "" }, true, true],
  [{ TERM: "dumb" }, true, false],
])("colours with %j on a terminal: %s", (env: Record<string, string>, isTTY, coloured) => {
  expect(paintFor(openIo(processLike(env, isTTY)), "stdout")("red", "x")).toBe(coloured ? "\x1b[31mx\x1b[0m" : "x");
});

test("a reader that went away is no error", () => {
  const around = processLike({}, false);
  const io = openIo(around);
  around.stdout.emit("error", Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  io.stdout.write("dropped");
  expect((around.stdout as unknown as PassThrough).read()).toBeNull();
  // Nor is a full disk: an agent's work must not depend on its output.
  around.stderr.emit("error", Object.assign(new Error("disk full"), { code: "ENOSPC" }));
  io.stderr.write("dropped");
  expect((around.stderr as unknown as PassThrough).read()).toBeNull();
});

test("the first stop request ends waits, and each is passed on", () => {
  const source = new EventEmitter();
  const stop = openStopRequests(source);
  const passedOn: string[] = [];
  const end = stop.subscribe((signal) => passedOn.push(signal));
  source.emit("SIGTERM", "SIGTERM");
  source.emit("SIGINT", "SIGINT");
  end();
  source.emit("SIGINT", "SIGINT");
  expect(passedOn).toEqual(["SIGTERM", "SIGINT"]);
  expect(stop.signal.reason).toBeInstanceOf(InterruptedError);
  expect((stop.signal.reason as InterruptedError).signal).toBe("SIGTERM");
  expect(getMaxListeners(stop.signal), "many may wait at once, without a warning").toBe(Number.POSITIVE_INFINITY);
  stop.close();
  expect(source.listenerCount("SIGINT") + source.listenerCount("SIGTERM")).toBe(0);
});
