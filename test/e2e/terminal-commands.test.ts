// A command on a terminal, by `exec` and by `run`: it has the terminal as it would without Holdline, keys reach it once, stops are not
// silent, and ending it spares the other processes of the terminal.
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { readStat } from "../../src/proc.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { type Fleet, isRunning, type Node, openFleet, PROGRAM } from "./fleet.js";
import { noTerminal, startShellOnTerminal } from "./terminal.js";

failOnLeaks();

const HOLDLINE = `'${process.execPath}' '${PROGRAM}'`;

/** The command line that runs a line of shell under a lock, on a new node. */
type Verb = (fleet: Fleet, script: string) => { readonly node: Node; readonly line: string };

const byExec: Verb = (fleet, script) => {
  const node = fleet.node("web-01", {});
  const file = scriptIn(fleet, script);
  return { node, line: `${HOLDLINE} -c '${node.config}' exec backup -- sh '${file}'` };
};

const byRun: Verb = (fleet, script) => {
  const file = scriptIn(fleet, script);
  const node = fleet.node("web-01", { backup: { command: ["sh", file], kill_after: "10 s" } });
  return { node, line: `${HOLDLINE} -c '${node.config}' run backup` };
};

function scriptIn(fleet: Fleet, script: string): string {
  const file = `${fleet.directory}/script.sh`;
  writeFileSync(file, script);
  return file;
}

const VERBS = [
  ["exec", byExec],
  ["run", byRun],
] as const;

describe.skipIf(noTerminal !== null).each(VERBS)("by %s", (_name, verb) => {
  test("it can ask on the terminal, and read its input from there", async () => {
    const fleet = await openFleet("sqlite");
    const { node, line } = verb(
      fleet,
      `printf 'name? ' >/dev/tty; read -r name </dev/tty; read -r more; echo "[$name] [$more]" >> '${fleet.log}'`,
    );
    const terminal = startShellOnTerminal(line, node.directory);
    await until(() => terminal.shown().includes("name? "), "the question");
    terminal.type("ann\rmore\r");
    expect(await terminal.ended).toBe(0);
    expect(fleet.lines()).toEqual(["[ann] [more]"]);
  });

  test("it is in the session, the process group and the foreground that its caller is in", async () => {
    const fleet = await openFleet("sqlite");
    const look = `read -r line </proc/$$/stat; set -- \${line##*) }; echo "$3 $4 $5 $6"`;
    const { node, line } = verb(fleet, `${look} >> '${fleet.log}'`);
    const terminal = startShellOnTerminal(`${look} >> '${fleet.log}'; ${line}`, node.directory);
    expect(await terminal.ended).toBe(0);
    const [callers, commands] = fleet.lines();
    expect(commands).toBe(callers);
  });

  test("what it leaves behind without an environment is ended, as its group is", async () => {
    const fleet = await openFleet("sqlite");
    const pidFile = `${fleet.directory}/pid`;
    const { node, line } = verb(fleet, `(env -i sleep 600 & echo $! > '${pidFile}'); echo done >> '${fleet.log}'`);
    // As in a shell's job the agent leads the group.
    const terminal = startShellOnTerminal(`exec ${line}`, node.directory);
    expect(await terminal.ended).toBe(0);
    expect(fleet.lines()).toEqual(["done"]);
    expect(isRunning(Number(readFileSync(pidFile, "utf8")))).toBe(false);
  });

  test("Ctrl-C reaches it once", async () => {
    const fleet = await openFleet("sqlite");
    const go = fleet.signalFile();
    // A shell takes two that come close together for one.
    const program = `const { appendFileSync, existsSync } = require("node:fs");
      process.on("SIGINT", () => appendFileSync("${fleet.log}", "int\\n"));
      setInterval(() => existsSync("${go.path}") && process.exit(), 20);
      appendFileSync("${fleet.log}", "ready\\n");`;
    const script = `exec '${process.execPath}' -e '${program}'`;
    const { node, line } = verb(fleet, script);
    const terminal = startShellOnTerminal(`exec ${line}`, node.directory);
    await fleet.untilLine("ready");
    terminal.type("\x03");
    // By then the agent has passed on what it passes on.
    await until(() => terminal.shown().includes("Ctrl-C again"), "the agent's word");
    await fleet.untilLine("int");
    go.give();
    expect(await terminal.ended).toBe(0);
    expect(fleet.lines()).toEqual(["ready", "int"]);
  });

  test("Ctrl-Z does not leave it stopped, and is answered", async () => {
    const fleet = await openFleet("sqlite");
    const go = fleet.signalFile();
    const { node, line } = verb(
      fleet,
      `echo ready >> '${fleet.log}'; until [ -e '${go.path}' ]; do sleep 0.05; done; echo done >> '${fleet.log}'`,
    );
    const terminal = startShellOnTerminal("exec bash --norc -i", node.directory, { PS1: "$ " });
    terminal.type(`${line}\r`);
    await fleet.untilLine("ready");
    terminal.type("\x1a");
    await until(() => terminal.shown().includes("Ctrl-Z stops nothing that holds a lock"), "a word");
    go.give();
    await fleet.untilLine("done");
    await fleet.untilQueue("backup", 0);
    terminal.type("exit\r");
    await terminal.ended;
    expect(fleet.lines()).toEqual(["ready", "done"]);
  });

  test("in the background it waits for the terminal, which is said, and goes on in the foreground", async () => {
    const fleet = await openFleet("sqlite");
    const { node, line } = verb(fleet, `echo ready >> '${fleet.log}'; read -r word </dev/tty; echo "[$word]" >> '${fleet.log}'`);
    const terminal = startShellOnTerminal("exec bash --norc -i", node.directory, { PS1: "$ " });
    terminal.type(`${line} &\r`);
    await until(() => terminal.shown().includes("the command is stopped and holds its lock"), "a word");
    expect(await fleet.queue("backup")).toHaveLength(1);
    const agent = await agentOf(fleet);
    terminal.type("fg\r");
    // A shell that still reads would take the typed text for itself.
    await until(() => isInForeground(agent), "the foreground");
    terminal.type("here\r");
    await fleet.untilLine("[here]");
    await fleet.untilQueue("backup", 0);
    terminal.type("exit\r");
    await terminal.ended;
  });

  test("the rest of a pipeline can ask on the terminal, too", async () => {
    const fleet = await openFleet("sqlite");
    const { node, line } = verb(fleet, "echo out");
    const terminal = startShellOnTerminal("exec bash --norc -i", node.directory, { PS1: "$ " });
    terminal.type(`${line} | { printf 'ke''y? ' >/dev/tty; read -r key </dev/tty; echo "$key $(cat)" >> '${fleet.log}'; }\r`);
    await until(() => terminal.shown().includes("key? "), "the question");
    terminal.type("key\r");
    await until(() => fleet.lines().some((written) => written.startsWith("key")), "the pager's word");
    terminal.type("exit\r");
    await terminal.ended;
  });

  test("what ends it ends all that it has started there, and spares its caller", async () => {
    const fleet = await openFleet("sqlite");
    const pids = `${fleet.directory}/pids`;
    const stubborn = `trap '' TERM INT HUP; echo $$ >> '${pids}'; while :; do sleep 0.05; done`;
    writeFileSync(`${fleet.directory}/stubborn.sh`, stubborn);
    const program = `sh '${fleet.directory}/stubborn.sh'`;
    // Without the claim in its environment, without its parent, and without either peculiarity.
    const script = `env -i ${program} & (${program} &); ${program}`;
    const { node, line } = verb(fleet, script);
    // A script's processes are all in one process group. Its other children are not Holdline's.
    const terminal = startShellOnTerminal(
      `sleep 1000 & other=$!; ${line}; kill -0 $other && echo spared >> '${fleet.log}'; kill $other`,
      node.directory,
    );
    const running = await until(() => {
      const found = readFileSync(pids, "utf8").split("\n").filter(Boolean).map(Number);
      return found.length === 3 ? found : null;
    }, "three processes");
    onTestFinished(() => running.forEach(kill));
    const agent = await agentOf(fleet);
    // The second one begins to end it, and the third hastens that.
    await until(() => {
      if (isRunning(agent)) process.kill(agent, "SIGTERM");
      return running.every((pid) => !isRunning(pid));
    }, "the command's end");
    await terminal.ended;
    expect(running.filter(isRunning)).toEqual([]);
    expect(fleet.lines()).toEqual(["spared"]);
  });

  test("nohup keeps it, and its agent, from ending with the terminal", async () => {
    const fleet = await openFleet("sqlite");
    const go = fleet.signalFile();
    const { node, line } = verb(
      fleet,
      `echo ready >> '${fleet.log}'; until [ -e '${go.path}' ]; do sleep 0.05; done; echo done >> '${fleet.log}'`,
    );
    const terminal = startShellOnTerminal("exec bash --norc -i", node.directory, { PS1: "$ " });
    terminal.type(`nohup ${line} >/dev/null 2>&1 &\r`);
    await fleet.untilLine("ready");
    terminal.hangUp();
    await terminal.ended;
    go.give();
    await fleet.untilLine("done");
    await fleet.untilQueue("backup", 0);
  });

  test("after one that has failed the terminal is usable as before", async () => {
    const fleet = await openFleet("sqlite");
    const { node, line } = verb(fleet, "exit 3");
    const terminal = startShellOnTerminal(`${line}; read -r word; echo "[$word]" >> '${fleet.log}'`, node.directory);
    terminal.type("after\r");
    await terminal.ended;
    expect(fleet.lines()).toEqual(["[after]"]);
  });
});

describe.skipIf(noTerminal !== null)("an agent that is killed on a terminal", () => {
  test("exec takes its command along, with what has emptied its environment", async () => {
    const fleet = await openFleet("sqlite");
    const pids = `${fleet.directory}/pids`;
    const { node, line } = byExec(
      fleet,
      `trap '' HUP; echo $$ >> '${pids}'; env -i sh -c 'echo $$ >> "${pids}"; while :; do sleep 0.05; done'; exit 0`,
    );
    const terminal = startShellOnTerminal(line, node.directory);
    const running = await pidsIn(pids, 2);
    process.kill(await agentOf(fleet), "SIGKILL");
    await until(() => running.every((pid) => !isRunning(pid)), "the command's end");
    await terminal.ended;
    await fleet.untilQueue("backup", 0);
  });

  test("exec takes along what it has left in the agent's own group without an environment", async () => {
    const fleet = await openFleet("sqlite");
    const pids = `${fleet.directory}/pids`;
    const { node, line } = byExec(
      fleet,
      `trap '' HUP; (env -i sleep 600 & echo $! >> '${pids}'); echo $$ >> '${pids}'; exec sleep 600`,
    );
    const terminal = startShellOnTerminal(`exec ${line}`, node.directory);
    const running = await pidsIn(pids, 2);
    process.kill(await agentOf(fleet), "SIGKILL");
    await until(() => running.every((pid) => !isRunning(pid)), "the command's end");
    await terminal.ended;
  });

  test("run leaves a stale claim; the next one ends what was left, and runs", async () => {
    const fleet = await openFleet("sqlite");
    const pids = `${fleet.directory}/pids`;
    const go = fleet.signalFile();
    const { node, line } = byRun(
      fleet,
      `[ ! -e '${go.path}' ] || exit 0; echo $$ >> '${pids}'; env -i sh -c 'echo $$ >> "${pids}"; while :; do sleep 0.05; done'; exit`,
    );
    const terminal = startShellOnTerminal(`${line}; sleep 1000`, node.directory);
    const orphans = await pidsIn(pids, 2);
    process.kill(await agentOf(fleet), "SIGKILL");
    await until(() => terminal.shown().includes("Killed"), "the agent's end");
    expect(orphans.filter(isRunning)).toEqual(orphans);
    expect(Object.values(node.journal("backup")).join()).toContain('"sharesGroup":true');
    go.give();
    const next = await node.run("run", "backup");
    expect(next.code, next.stderr).toBe(0);
    expect(orphans.filter(isRunning)).toEqual([]);
    expect(await fleet.queue("backup")).toEqual([]);
  });
});

/** Whether its terminal listens to the group of this process. */
function isInForeground(pid: number): boolean {
  const stat = readStat(pid);
  return stat !== null && stat.foreground === stat.group;
}

async function pidsIn(file: string, count: number): Promise<number[]> {
  const pids = await until(() => {
    const found = readFileSync(file, "utf8").split("\n").filter(Boolean).map(Number);
    return found.length === count ? found : null;
  }, `${count} processes`);
  onTestFinished(() => pids.forEach(kill));
  return pids;
}

async function agentOf(fleet: Fleet): Promise<number> {
  return until(async () => (await fleet.queue("backup"))[0]?.owner.process?.pid, "the agent's claim");
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}
