// The table of commands. Parser, help, man page, completion and docs/commands.md are made of it or held to it. A new command
// is a row here and a file in commands/.
import type { CommandArgument, CommandOption, CommandRow, CommandTable } from "./command.js";
import { RESOURCE_PROGRAMS } from "./resource-programs.js";

const LOCK: CommandArgument = { form: "<LOCK>", doc: "the lock's name" };
const ACTION: CommandArgument = { form: "<ACTION>", doc: "an action that the configuration declares" };
const LEASE_ID: CommandArgument = { form: "<LEASE_ID>", doc: "the id that `holdline acquire` printed" };
const HOST: CommandArgument = { form: "<HOST>", doc: "the host's name; it need not be reachable" };
const HOST_LOCK_TYPES = ["host", "generic", "file"] as const;
const EVENTS = ["released", "cleared", "expired", "recovered", "failed", "frozen", "thawed"] as const;
const HOLDER_FORMS = ["id", "json", "lines", "oneline", "cols", "rows"] as const;

const SLOTS: CommandOption = {
  form: "--slots <N>",
  doc: "how many claims may hold the lock at once (default: 1, or unlimited with a key)",
};
const KEY: CommandOption = { form: "--key <K>", doc: "claims with the same key may hold the lock together" };
const DATA: CommandOption = { form: "--data <YAML|@FILE>", doc: "shown with the claim" };
const TTL: CommandOption = {
  form: "-t, --ttl <D>",
  doc: "how long the lease lasts, from now (default: the configuration's for this lock, or 30 min)",
};
const FORCE: CommandOption = { form: "--force", doc: "also for another principal's lease; the history shows who did it" };
const DESPITE_FREEZE: CommandOption = {
  form: "--despite-freeze",
  doc: "also where the lock is frozen; say why, for the others",
};
const DEPENDENCIES: CommandOption = {
  form: "--dependencies <FILE>",
  doc: "a YAML or JSON map from each host to the hosts that depend on it, instead of the configuration's",
};

export const COMMANDS: readonly CommandRow[] = [
  {
    name: "run",
    summary: "run declared actions, each under its lock",
    arguments: [{ form: "[ACTION...]", doc: "actions that the configuration declares" }],
    options: [
      { form: "--all", doc: "every declared action, in the file's order" },
      { form: "--dry-run", doc: "say what would happen, gate by gate, and change nothing" },
      { form: "--force", doc: "`needed`, windows and blockers do not count" },
      { form: "--despite-freeze", doc: "freezes do not count; needs --reason" },
      { form: "--reason <TEXT>", doc: "the reason, shown with the claim and in the history" },
      { form: "--stop-on-failure", doc: "run none of the later actions after one that has not been done" },
    ],
    examples: ["holdline run restart-nginx --dry-run", "holdline run --all --json"],
    makesStore: true,
    load: async () => (await import("./commands/run.js")).run,
  },
  {
    name: "begin",
    summary: "wait for the lock of an action and run its hook `before`, and leave its work to the caller",
    arguments: [ACTION],
    options: [
      { form: "--pid <PID>", doc: "the process that does the work (default: the one that has called holdline)" },
      { form: "--detached", doc: "the work is done by no single process of this node" },
      { form: "--force", doc: "`needed`, windows and blockers do not count" },
      { form: "--despite-freeze", doc: "freezes do not count; needs --reason" },
      { form: "--reason <TEXT>", doc: "the reason, shown with the claim and in the history" },
    ],
    examples: ["holdline begin deploy --pid 4242", "holdline begin deploy --detached"],
    makesStore: true,
    load: async () => (await import("./commands/begin.js")).begin,
  },
  {
    name: "end",
    summary: "end what begin has begun: check it, run the hook `after`, soak, and let go of the lock",
    arguments: [ACTION],
    options: [
      { form: "--failed", doc: "the work has failed: keep the lock, as after any failure" },
      { form: "--message <TEXT>", doc: "with --failed: what has failed" },
    ],
    examples: ["holdline end deploy", "holdline end deploy --failed --message OPS-812"],
    load: async () => (await import("./commands/end.js")).end,
  },
  {
    name: "resume",
    summary: "finish what earlier runs left on this node: pending attempts, stale and failed claims",
    arguments: [{ form: "[ACTION...]", doc: "only these actions (default: all that left something)" }],
    options: [],
    examples: ["holdline resume", "holdline resume restart-nginx --quiet"],
    makesStore: true,
    load: async () => (await import("./commands/resume.js")).resume,
  },
  {
    name: "pending",
    summary: "show what resume would do on this node, and why it is not done",
    arguments: [],
    options: [{ form: "--drop <ACTION>", doc: "take back the attempts at an action; exit code 1 when there are none" }],
    examples: ["holdline pending", "holdline pending --drop restart-nginx"],
    load: async () => (await import("./commands/pending.js")).pending,
  },
  {
    name: "exec",
    summary: "run a command under a lock",
    arguments: [LOCK],
    options: [
      SLOTS,
      KEY,
      { form: "--wait <D>", doc: "how long to wait for the lock; 0: do not wait, none: for ever" },
      { form: "--timeout <D>", doc: "another name for --wait" },
      { form: "--durable", doc: "keep the lock if this process dies or the command fails" },
      DATA,
      DESPITE_FREEZE,
      { form: "--reason <TEXT>", doc: "with --despite-freeze: why, shown with the claim" },
    ],
    rest: "COMMAND...",
    examples: [
      "holdline exec backup -- /usr/local/bin/backup --full",
      "holdline exec deploy --slots 3 --wait '5 min' -- ./deploy.sh",
    ],
    makesStore: true,
    load: async () => (await import("./commands/exec.js")).exec,
  },
  {
    name: "acquire",
    summary: "take a lease on a lock and print its id; while another holds it: exit code 2 and the holder's id",
    arguments: [LOCK],
    options: [
      TTL,
      { form: "--wait <D>", doc: "how long to wait for the lock (default: not at all); none: for ever" },
      SLOTS,
      KEY,
      { form: "--reason <TEXT>", doc: "the reason, shown to those who find the lock held" },
      DATA,
      DESPITE_FREEZE,
    ],
    examples: [
      "holdline acquire db-migrate --ttl '1 day' --reason 'schema 42, OPS-123'",
      "ID=$(holdline acquire deploy -t '10 min' --wait '2 min') || exit; ./deploy.sh; holdline release deploy \"$ID\"",
    ],
    makesStore: true,
    load: async () => (await import("./commands/acquire.js")).acquire,
  },
  {
    name: "release",
    summary: "end a lease; no error when it is already gone",
    arguments: [LOCK, LEASE_ID],
    options: [FORCE],
    examples: ["holdline release db-migrate 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11", 'holdline release deploy "$ID"'],
    load: async () => (await import("./commands/release.js")).release,
  },
  {
    name: "renew",
    summary: "start a lease's time anew from now; exit code 3 when it has expired or was released",
    arguments: [LOCK, LEASE_ID],
    options: [TTL, FORCE],
    examples: [
      "holdline renew db-migrate 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11",
      "holdline renew deploy \"$ID\" --ttl '30 minutes' || exit 1",
    ],
    load: async () => (await import("./commands/renew.js")).renew,
  },
  {
    name: "current",
    summary: "show who holds a lock now; exit code 1 when it is free",
    arguments: [LOCK],
    options: [
      { form: "-f, --format <FORM>", doc: "id, json, lines, oneline, cols or rows (default: rows)", choices: HOLDER_FORMS },
      { form: "--id-only", doc: "the same as --format id" },
    ],
    examples: ["holdline current db-migrate", "holdline current db-migrate -f oneline | cut -f1"],
    load: async () => (await import("./commands/current.js")).current,
  },
  {
    name: "is-held",
    summary: "whether a lease holds its lock: exit code 0 or 1, without output",
    arguments: [LOCK, LEASE_ID],
    options: [],
    examples: [
      "holdline is-held db-migrate 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11",
      'holdline is-held deploy "$ID" || { echo "the lease is over" >&2; exit 1; }',
    ],
    load: async () => (await import("./commands/is-held.js")).isHeld,
  },
  {
    name: "data",
    summary: "show the data of a claim as YAML, or change it in place",
    arguments: [LOCK, { form: "<ID>", doc: "the id of a claim that holds the lock: a lease or a running action" }],
    options: [
      { form: "--replace <YAML|@FILE>", doc: "replace all the data; applied first" },
      { form: "--merge <YAML|@FILE>", doc: "merge this map into the data, key by key" },
      { form: "--set <PATH=VALUE>", doc: "set one key, such as deploy.version='\"1.10\"'; applied last", repeatable: true },
    ],
    examples: [
      "holdline data db-migrate 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11 --set status=READY --set progress.tables=12",
      'holdline data restart/nginx "$HOLDLINE_CLAIM" --merge @/srv/deploy/facts.yaml',
    ],
    load: async () => (await import("./commands/data.js")).data,
  },
  {
    name: "lock",
    summary: "lock a host or a file on it, together with the hosts that it depends on; prints the id",
    arguments: [{ form: "[HOST]", doc: "the host's name, which need not be reachable; --file takes it from the path" }],
    options: [
      {
        form: "--type <TYPE>",
        doc: "host excludes every other lock; generic (default) and file may overlap",
        choices: HOST_LOCK_TYPES,
      },
      { form: "--file <PATH>", doc: "\\\\server\\share\\path, smb://server/path, server:/path or /local/path" },
      { form: "--caller <TEXT>", doc: "on whose behalf: a program, a ticket, a name" },
      { form: "--description <TEXT>", doc: "the reason, shown to those who wait and in the history" },
      { form: "--data <YAML|@FILE>", doc: "shown with the lock" },
      DEPENDENCIES,
      { form: "--no-dependencies", doc: "only this host" },
      { form: "--wait <D>", doc: "how long to wait in line; 0: do not wait, none: for ever (default: from --retry and --sleep)" },
      { form: "--retry <N>", doc: "instead of --wait: wait in line as long as N attempts would take (default: 3)" },
      { form: "--sleep <D>", doc: "with --retry: the time between two attempts (default: 10 s)" },
      { form: "-t, --ttl <D>", doc: "how long the lock lasts; none: until it is unlocked (default: the configuration's, or none)" },
      DESPITE_FREEZE,
      { form: "--ensure-unlock", doc: "lock only if nobody holds or wants it; otherwise exit code 2 at once" },
    ],
    examples: [
      "holdline lock dc01 --caller 'OPS-123' --description 'new disks' --wait '5 min'",
      "holdline lock --file smb://fs01/share/report.xlsx --ensure-unlock",
    ],
    makesStore: true,
    load: async () => (await import("./commands/lock.js")).lock,
  },
  {
    name: "unlock",
    summary: "end every lock under an id; exit code 0 also when it is already gone",
    arguments: [{ form: "<ID>", doc: "the id that `holdline lock` printed" }],
    options: [
      { form: "--ensure-lock", doc: "exit code 1 unless it was locked" },
      { form: "--force", doc: "also what another principal locked; the history shows who did it" },
    ],
    examples: [
      "holdline unlock 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11",
      "holdline unlock 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11 --ensure-lock",
    ],
    load: async () => (await import("./commands/unlock.js")).unlock,
  },
  {
    name: "status",
    summary: "whether a host, or a lock of that name, is locked: the types of lock and the holders",
    arguments: [{ form: "<NAME>", doc: "a host's name, or a lock's" }],
    options: [
      {
        form: "--format <FORMAT>",
        doc: "text (default), json, or yaml with the holder's data at the top level",
        choices: ["text", "json", "yaml"],
      },
    ],
    examples: ["holdline status dc01", "holdline status db --format yaml"],
    load: async () => (await import("./commands/status.js")).status,
  },
  {
    name: "test",
    summary: "whether a host is locked: exit code 0 or 1; a lease on a lock of that name does not count",
    arguments: [HOST],
    options: [
      { form: "--type <TYPE>", doc: "count only this type: host, generic or file", choices: HOST_LOCK_TYPES, repeatable: true },
    ],
    examples: ["holdline test dc01", "holdline test dc01 --type host --type file"],
    load: async () => (await import("./commands/test.js")).test,
  },
  {
    name: "deps",
    summary: "list the hosts that lock would lock together with a host, in order",
    arguments: [HOST],
    options: [DEPENDENCIES],
    examples: ["holdline deps dc01", "holdline deps dc01 --dependencies ./map.yaml"],
    load: async () => (await import("./commands/deps.js")).deps,
  },
  {
    name: "freeze",
    summary: "keep everything from beginning that takes a lock, until it is thawed; prints the freeze's id",
    arguments: [{ form: "[LOCK-PATTERN...]", doc: "the locks, in which * stands for any text (default: all)" }],
    options: [
      { form: "--reason <TEXT>", doc: "the reason, shown to those who are kept waiting and in the history", required: true },
      { form: "--node <PATTERN>", doc: "only on these nodes; * stands for any text" },
      { form: "--group <G>", doc: "only in this group of nodes" },
      { form: "--for <D>", doc: "how long, by the store's clock (default: until it is thawed)" },
    ],
    examples: [
      "holdline freeze --reason 'the sale, OPS-123'",
      "holdline freeze 'restart/*' --group web --for '2 h' --reason 'web is being moved'",
    ],
    makesStore: true,
    load: async () => (await import("./commands/freeze.js")).freeze,
  },
  {
    name: "thaw",
    summary: "end a freeze, or all; who waits in line goes on at once",
    arguments: [{ form: "[FREEZE_ID]", doc: "the id that `holdline freeze` printed" }],
    options: [{ form: "--all", doc: "all freezes, and what stands in their place in the store that cannot be read" }],
    examples: ["holdline thaw 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11", "holdline thaw --all"],
    load: async () => (await import("./commands/thaw.js")).thaw,
  },
  {
    name: "freezes",
    summary: "show what is frozen, by whom, why and until when",
    arguments: [],
    options: [],
    examples: ["holdline freezes", "holdline freezes --json"],
    load: async () => (await import("./commands/freezes.js")).freezes,
  },
  {
    name: "locks",
    summary: "show who holds and who waits, since when and why; failed and stale holders stand out",
    arguments: [{ form: "[LOCK]", doc: "only this lock; exit code 1 when nobody holds it or waits for it" }],
    options: [
      {
        form: "--watch",
        doc: "show changes as they come: in place on a terminal, elsewhere one listing after another, with --json one document a line",
      },
    ],
    examples: ["holdline locks --watch", "holdline locks restart/nginx --json"],
    load: async () => (await import("./commands/locks.js")).locks,
  },
  {
    name: "nodes",
    summary: "show the nodes that the store knows, and what became last of each of their actions",
    arguments: [],
    options: [
      { form: "--group <G>", doc: "only this group; exit code 1 when no node of it is known" },
      { form: "--forget <NODE>", doc: "forget a node that is gone for good: percentages and rollouts no longer count it" },
    ],
    examples: ["holdline nodes --group web", "holdline nodes --forget web-07.example.com"],
    load: async () => (await import("./commands/nodes.js")).nodes,
  },
  {
    name: "rollout",
    summary: "show how far an action has come in a group: who is done, who failed, who waits, and why",
    arguments: [{ form: "<ACTION>", doc: "the action's name; exit code 1 when nothing is known of it" }],
    options: [
      { form: "--since <D>", doc: "count what was done within this time (default: since the newest wave of wishes began)" },
      { form: "--group <G>", doc: "which group (default: this node's)" },
      {
        form: "--watch",
        doc: "show changes as they come: in place on a terminal, elsewhere a line for each node, with --json one document a line",
      },
    ],
    examples: ["holdline rollout restart-nginx --group web --watch", "holdline rollout restart-nginx --since '2 h' --json"],
    load: async () => (await import("./commands/rollout.js")).rollout,
  },
  {
    name: "clear",
    summary: "end a durable claim as an admin; the history records it",
    arguments: [LOCK],
    options: [
      { form: "--claim <ID>", doc: "which claim, when there are several" },
      { form: "--reason <TEXT>", doc: "the reason, for the history", required: true },
      { form: "--force", doc: "also a claim that waits, or whose owner or command is running" },
    ],
    examples: [
      "holdline clear restart/nginx --reason 'web-07 is out of service'",
      "holdline clear restart/nginx --claim 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11 --reason 'nginx fixed by hand'",
    ],
    load: async () => (await import("./commands/clear.js")).clear,
  },
  {
    name: "history",
    summary: "show durable claims that have ended, and failures that keep their lock; newest first",
    arguments: [{ form: "[LOCK]", doc: "only of this lock" }],
    options: [
      { form: "--since <D>", doc: "only what ended within this time" },
      { form: "--by <WHO>", doc: "only what this principal or caller locked or ended" },
      {
        form: "--event <E>",
        doc: `only what ended this way: ${EVENTS.slice(0, 4).join(", ")} or failed; or freezes: frozen or thawed`,
        choices: EVENTS,
      },
      { form: "--id <ID>", doc: "only this claim" },
      { form: "--limit <N>", doc: "how many records at most (default: 20)" },
    ],
    examples: ["holdline history restart/nginx --limit 5", "holdline history --since '1 day' --event cleared --json"],
    load: async () => (await import("./commands/history.js")).history,
  },
  {
    name: "copy",
    summary: "take everything from one store to another: claims, history, freezes and nodes; the old one then says where it is",
    arguments: [
      { form: "<FROM>", doc: "the URL of the store, which nobody uses and where everything is frozen" },
      { form: "<TO>", doc: "the URL of the new store, which nothing has used yet, or an earlier copy has filled in part" },
    ],
    options: [{ form: "--give-up", doc: "leave everything in FROM, after a copy that was killed and is not to be repeated" }],
    examples: [
      "holdline copy sqlite:///var/lib/holdline/holdline.db zookeeper://zk1:2181,zk2:2181,zk3:2181/holdline",
      "holdline copy --give-up sqlite:///var/lib/holdline/holdline.db zookeeper://zk1:2181/holdline",
    ],
    makesStore: true,
    load: async () => (await import("./commands/copy.js")).copy,
  },
  {
    name: "check",
    summary: "validate the configuration and print the settings in force, with secrets hidden",
    arguments: [],
    options: [
      { form: "--live", doc: "also examine the stores, and run each action's check once" },
      { form: "--mend", doc: "with --live: give the URL's credentials a ZooKeeper tree that anyone may change" },
      {
        form: "--tidy",
        doc: "with --live: remove nodes that earlier versions left empty in ZooKeeper, and history records beyond the bounds; never a claim",
      },
    ],
    examples: ["holdline check --config ./holdline.yaml", "holdline check --live"],
    load: async () => (await import("./commands/check.js")).check,
  },
  {
    name: "completion",
    summary: "print a script that completes commands, options, and the names of actions, locks, claims and freezes",
    arguments: [{ form: "<SHELL>", doc: "bash, zsh or fish", choices: ["bash", "zsh", "fish"] }],
    options: [
      { form: "--names <KIND>", doc: "for that script: print the actions, locks, hosts, names, freezes, claims or claims=LOCK" },
    ],
    examples: ['eval "$(holdline completion bash)"', "holdline completion fish | source"],
    load: async () => (await import("./commands/completion.js")).completionOf(TABLE),
  },
  {
    name: "serve",
    summary: "serve locks over HTTP: an API for pipelines and a page for people",
    arguments: [],
    options: [
      { form: "--listen <ADDRESS>", doc: "the address to listen on, instead of serve.listen; ADDRESS:PORT sets the port as well" },
      { form: "--insecure", doc: "let everyone lock and clear who can reach the server, also from other machines" },
      { form: "--hash", doc: "read a password or token from standard input, print its hash, and end" },
    ],
    examples: ["holdline serve --listen 127.0.0.1:3000", "holdline serve --hash < password.txt"],
    makesStore: true,
    load: async () => (await import("./commands/serve.js")).serve,
  },
  {
    name: "concourse",
    summary: "act as a Concourse resource for a server's locks: the request on standard input, the result on standard output",
    arguments: [
      { form: "<ACTION>", doc: "check, in or out", choices: RESOURCE_PROGRAMS },
      { form: "[DIR]", doc: "where in writes the lock; out needs none" },
    ],
    options: [],
    examples: ["holdline concourse check < request.json", "holdline concourse in . < request.json"],
    load: async () => (await import("./commands/concourse.js")).concourse,
  },
];

/** The options that every command takes. */
export const GLOBAL_OPTIONS: readonly CommandOption[] = [
  { form: "-c, --config <FILE>", doc: "the configuration file" },
  { form: "--coordinator <URL>", doc: "the store of the queues, instead of the configured one" },
  { form: "--json", doc: "print one JSON document on standard output" },
  { form: "-q, --quiet", doc: "print only errors on standard error" },
  { form: "-v, --verbose", doc: "print more on standard error" },
];

/** The options that the parser answers itself, without a command. */
export const PARSER_OPTIONS = [
  { form: "-V, --version", doc: "print the version" },
  { form: "-h, --help", doc: "print help, also for a command" },
] as const satisfies readonly CommandOption[];

const TABLE: CommandTable = { commands: COMMANDS, options: [...GLOBAL_OPTIONS, ...PARSER_OPTIONS] };
