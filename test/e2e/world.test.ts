// A command finds the same world under `exec` and `run` as without Holdline, except for HOLDLINE_…: environment, arguments,
// descriptors, limits, signals.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { failOnLeaks } from "../support/leaks.js";
import { type Fleet, openFleet, PROGRAM } from "./fleet.js";

failOnLeaks();

const onLinux = process.platform === "linux";
const HOLDLINE = `'${process.execPath}' '${PROGRAM}'`;
const hasMake = spawnSync("make", ["--version"]).status === 0;

// What its own start has made of a shell is read from outside, as the kernel has it.
const LOOK = `
out=$1
tr '\\0' '\\n' </proc/$$/environ | grep -av '^HOLDLINE_' | sort >"$out.environ"
shift; printf '%s|' "$@" >"$out.arguments"
for fd in /proc/$$/fd/*; do fd=\${fd##*/}; target=$(readlink "/proc/$$/fd/$fd") && echo "$fd $target"; done | grep -v 'script.sh' >"$out.descriptors"
cat /proc/$$/limits >"$out.limits"
# By the shell itself: while it starts another program it blocks signals.
while read -r line; do
  case $line in Umask* | Uid* | Gid* | Groups* | SigIgn* | SigBlk* | Cap* | NoNewPrivs* | Cpus_allowed* | Seccomp*) echo "$line" ;; esac
done </proc/$$/status >"$out.status"
cat /proc/$$/oom_score_adj /proc/$$/coredump_filter /proc/$$/timerslack_ns >"$out.other" 2>/dev/null
readlink /proc/$$/cwd >>"$out.other"
`;

interface World {
  readonly [aspect: string]: string;
}

const ASPECTS = ["environ", "arguments", "descriptors", "limits", "status", "other"];

function worldIn(path: string): World {
  return Object.fromEntries(ASPECTS.map((aspect) => [aspect, readFileSync(`${path}.${aspect}`, "latin1")]));
}

/** Runs a script of shell, as a person's, with a clean environment. */
function shell(script: string, cwd: string, shellPath = "/bin/sh"): { readonly status: number | null; readonly stderr: string } {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("HOLDLINE_")));
  const { status, stderr } = spawnSync(shellPath, ["-c", script], {
    cwd,
    env: { ...clean, HOME: cwd },
    encoding: "utf8",
    input: "",
  });
  return { status, stderr };
}

function prepare(fleet: Fleet) {
  const script = `${fleet.directory}/script.sh`;
  writeFileSync(script, LOOK);
  writeFileSync(`${fleet.directory}/input`, "");
  const argumentsOf = (out: string): string => `"$(command -v sh)" '${script}' '${out}' '$HOME' '' 'a b'`;
  const [plain, held] = ["plain", "held"].map((name) => `${fleet.directory}/${name}`) as [string, string];
  const node = fleet.node("web-01", { look: { command: ["/bin/sh", script, held, "$HOME", "", "a b"] } });
  return { node, plain, held, argumentsOf };
}

/** A caller that has changed everything it can. It starts both commands. */
const CALLER = `
umask 027; ulimit -S -n 300; ulimit -S -c 0; trap '' HUP USR2
exec 0<input 3</etc/hostname 5<>input 7</dev/null 9>lock
given() {
  env 'spring.datasource.url=jdbc:x' 'app-key=k v' 'BASH_FUNC_f%%=() { echo "q"; }' IFS=q PPID=7 OPTIND=4 LINENO=9 EMPTY= \\
    "LATIN=$(printf 'a\\351\\001\\\\b')" "LINES_IN=$(printf 'one\\ntwo\\n\\n.')" "$@"
}
`;

describe.runIf(onLinux)("what a command finds is what it would find without Holdline", () => {
  test.each(["/bin/sh", "/bin/bash"])("by exec, called from %s", async (shellPath) => {
    const fleet = await openFleet("sqlite");
    const { node, plain, held, argumentsOf } = prepare(fleet);
    const { status, stderr } = shell(
      `${CALLER} given ${argumentsOf(plain)} "$(printf '\\351')"; given ${HOLDLINE} -c '${node.config}' exec backup -- ${argumentsOf(held)} "$(printf '\\351')"; exit $?`,
      fleet.directory,
      shellPath,
    );
    expect([status, stderr]).toEqual([0, ""]);
    expect(worldIn(plain)["arguments"]).toBe("$HOME||a b|\xe9|");
    expect(worldIn(plain)["environ"]).toContain("LATIN=a\xe9\x01\\b\n");
    expect(worldIn(held)).toEqual(worldIn(plain));
  });

  test("by run, but for its output", async () => {
    const fleet = await openFleet("sqlite");
    const { node, plain, held, argumentsOf } = prepare(fleet);
    const { status } = shell(
      `${CALLER} given ${argumentsOf(plain)}; given ${HOLDLINE} -c '${node.config}' run look; exit $?`,
      fleet.directory,
    );
    expect(status).toBe(0);
    const withoutOutput = ({ descriptors, ...world }: World) => ({
      ...world,
      descriptors: descriptors?.replace(/^[12] .*\n/gm, ""),
    });
    expect(withoutOutput(worldIn(held))).toEqual(withoutOutput(worldIn(plain)));
  });

  test("in an environment without anything, too", async () => {
    const fleet = await openFleet("sqlite");
    const { node, plain, held, argumentsOf } = prepare(fleet);
    const { status, stderr } = shell(
      `env -i ${argumentsOf(plain)}; env -i ${HOLDLINE} -c '${node.config}' exec backup -- ${argumentsOf(held)}; exit $?`,
      fleet.directory,
    );
    expect([status, stderr]).toEqual([0, ""]);
    expect(worldIn(held)).toEqual(worldIn(plain));
  });
});

describe.runIf(onLinux)("what is handed down to a command", () => {
  test("a lock that its caller holds on a descriptor is held by it, too", async () => {
    const fleet = await openFleet("sqlite");
    const { node } = prepare(fleet);
    const inside = `exec 9>&-; flock -n '${fleet.directory}/lock' true || echo held`;
    const { status } = shell(
      `( flock 9; ${HOLDLINE} -c '${node.config}' exec backup -- sh -c "readlink /proc/\\$\\$/fd/9; ${inside}" ) 9>lock >out`,
      fleet.directory,
    );
    expect(status).toBe(0);
    expect(readFileSync(`${fleet.directory}/out`, "utf8")).toBe(`${fleet.directory}/lock\nheld\n`);
  });

  test.runIf(hasMake)("make's job server", async () => {
    const fleet = await openFleet("sqlite");
    const { node } = prepare(fleet);
    writeFileSync(`${fleet.directory}/Makefile`, `all:\n\t+${HOLDLINE} -c '${node.config}' exec backup -- $(MAKE) -f inner.mk\n`);
    writeFileSync(`${fleet.directory}/inner.mk`, "all: one two\none two:\n\t@echo $@\n");
    const { status, stderr } = shell("make -j2", fleet.directory);
    // It would say that the job server is not there.
    expect([status, stderr]).toEqual([0, ""]);
  });

  test("sockets of systemd, which name the process that is to take them", async () => {
    const fleet = await openFleet("sqlite");
    const { node } = prepare(fleet);
    const inside = '[ "$LISTEN_PID" = $$ ] && [ "$WATCHDOG_PID" = 1 ] && readlink /proc/$$/fd/3';
    const { status } = shell(
      `: >lock; exec env LISTEN_PID=$$ LISTEN_FDS=1 WATCHDOG_PID=1 ${HOLDLINE} -c '${node.config}' exec backup -- sh -c '${inside}' 3<lock >out`,
      fleet.directory,
    );
    expect([status, readFileSync(`${fleet.directory}/out`, "utf8")]).toEqual([0, `${fleet.directory}/lock\n`]);
  });

  test("a hangup that is ignored: neither the command nor its agent ends by it", async () => {
    const fleet = await openFleet("sqlite");
    const { node } = prepare(fleet);
    const inside = `kill -HUP $PPID $$; echo hung up >> "${fleet.log}"`;
    writeFileSync(`${fleet.directory}/inside.sh`, inside);
    const { status } = shell(`trap '' HUP; ${HOLDLINE} -c '${node.config}' exec backup -- sh inside.sh; exit $?`, fleet.directory);
    expect(status).toBe(0);
    expect(fleet.lines()).toEqual(["hung up"]);
  });
});
