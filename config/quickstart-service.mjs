#!/usr/bin/env node
// The service of the quickstart: a small HTTP server that says hello, with a control program like a real service's:
//   node config/quickstart-service.mjs start | stop | restart | check
// Its files are in $HELLO_DIR. It says the text in greeting.txt there; with an empty one it is not healthy.
import { spawn } from "node:child_process";
import { mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const folder = process.env.HELLO_DIR ?? join(tmpdir(), `holdline-quickstart-${userInfo().username}`);
const stateFile = join(folder, "hello.json");
const greetingFile = join(folder, "greeting.txt");

/** How long a start or a stop may take: far more than they need. */
const PATIENCE_MS = 10_000;

const verbs = { start, stop, restart, check, serve };
const verb = verbs[process.argv[2]];
if (verb === undefined) {
  console.error(`usage: node config/quickstart-service.mjs ${Object.keys(verbs).slice(0, -1).join(" | ")}`);
  process.exitCode = 64;
} else {
  process.exitCode = await verb();
}

/** Starts the server in a session of its own, so that it outlives its starter. Resolves when it can be reached. */
async function start() {
  if (isAlive(state()?.pid)) return said(`hello is running already (process ${state().pid})`);
  mkdirSync(folder, { recursive: true });
  const log = openSync(join(folder, "hello.log"), "a");
  const server = spawn(process.execPath, [process.argv[1], "serve"], { detached: true, stdio: ["ignore", log, log] });
  server.unref();
  const started = await until(() => state()?.pid === server.pid);
  return started
    ? said(`hello runs as process ${server.pid} on http://127.0.0.1:${state().port}`)
    : failed(`hello did not start; see ${join(folder, "hello.log")}`);
}

async function stop() {
  const pid = state()?.pid;
  if (!isAlive(pid)) return said("hello is not running");
  process.kill(pid, "SIGTERM");
  if (!(await until(() => !isAlive(pid)))) return failed(`process ${pid} does not end`);
  return said(`hello has stopped (process ${pid})`);
}

async function restart() {
  return (await stop()) || (await start());
}

async function check() {
  const port = state()?.port;
  if (port === undefined) return failed("hello is not running");
  try {
    const response = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(2_000) });
    const text = (await response.text()).trim();
    return response.ok ? said(text) : failed(`hello is not healthy: ${text}`);
  } catch (error) {
    return failed(`hello does not answer on port ${port}: ${error.cause?.message ?? error.message}`);
  }
}

/** The server itself. It keeps its port over a restart, and ends by itself after $HELLO_LIFETIME_S seconds if that is set. */
async function serve() {
  let end;
  const ended = new Promise((resolve) => {
    end = resolve;
  });
  const server = createServer((request, response) => {
    const greeting = textOf(greetingFile)?.trim() ?? "Hello!";
    if (greeting === "") response.writeHead(500).end(`${greetingFile} is empty\n`);
    else response.writeHead(200).end(request.url === "/healthz" ? `healthy: process ${process.pid}\n` : `${greeting}\n`);
  });
  server.on("error", (error) => {
    if (error.code === "EADDRINUSE") server.listen(0, "127.0.0.1");
    else throw error;
  });
  server.listen(state()?.port ?? 0, "127.0.0.1", () => {
    const { port } = server.address();
    writeFileSync(`${stateFile}.new`, JSON.stringify({ pid: process.pid, port }));
    renameSync(`${stateFile}.new`, stateFile);
  });
  process.once("SIGTERM", end);
  if (process.env.HELLO_LIFETIME_S) setTimeout(end, Number(process.env.HELLO_LIFETIME_S) * 1_000).unref();
  await ended;
  server.close();
  server.closeAllConnections();
  return 0;
}

/** `{ pid, port }` of the last server that started, or `undefined`. */
function state() {
  const text = textOf(stateFile);
  return text === undefined ? undefined : JSON.parse(text);
}

function textOf(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function isAlive(pid) {
  if (pid === undefined) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(condition) {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > deadline) return false;
    await pause(20);
  }
  return true;
}

function said(words) {
  console.log(words);
  return 0;
}

function failed(words) {
  console.error(words);
  return 1;
}
