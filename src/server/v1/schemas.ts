// The schemas of the API: requests are checked against them, and the OpenAPI document shows them. Answers may have members that
// their schemas do not name.
import { ROLLOUT_STATES } from "../../fleet/rollout.js";
import { STAGES } from "../../locks/claim.js";
import { UUID_PATTERN } from "../../locks/ids.js";

/** A JSON schema in the dialect of OpenAPI 3.0. */
export type Schema = Readonly<Record<string, unknown>>;

const text = (description: string, more: Schema = {}): Schema => ({ type: "string", description, ...more });
const textOrNull = (description: string, more: Schema = {}): Schema => text(description, { nullable: true, ...more });
const time = (description: string): Schema => text(description, { format: "date-time" });

/** An object, which may have further members. */
export function object(
  description: string,
  properties: Readonly<Record<string, Schema>>,
  required = Object.keys(properties),
): Schema {
  return { type: "object", description, properties, required, additionalProperties: true };
}

/** The members of a request. An unknown one is a mistake. */
export function asked(properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema {
  return { type: "object", properties, additionalProperties: false, ...(required.length > 0 ? { required } : {}) };
}

export function list(items: Schema): Schema {
  return { type: "array", items };
}

export const DURATION = 'a number of seconds, or a text such as "30 s", "10 min" or "1 day"';

/** Members of requests. */
export const LOCK = text("the lock's name");
export const TTL = {
  description: `how long it lasts: ${DURATION}; null: until it is released`,
  anyOf: [{ type: "string", nullable: true }, { type: "number" }],
};
export const WAIT = {
  description: `how long to stand in line while the request is open, at most 10 min: ${DURATION}`,
  anyOf: [{ type: "string" }, { type: "number" }],
};
export const ID = text("a UUID of the client's own: however often the client asks with it, there is one lease", {
  pattern: UUID_PATTERN,
});
export const UUID = text("a UUID of the client's own: however often the client asks with it, there is one freeze", {
  pattern: UUID_PATTERN,
});
export const DESPITE_FREEZE = {
  type: "boolean",
  description: "takes it whatever is frozen; needs the right to clear, and a reason",
};
export const CALLER = textOrNull("on whose behalf: a program, a ticket, a name");
export const DATA = { description: "shown with the claim and kept in the history; anything, 64 KiB at most" };

/** A parameter in the path. */
export function params(name: string, description: string): Schema {
  return { type: "object", required: [name], properties: { [name]: text(description) } };
}

const OWNER = object("who made it", {
  node: text("the node"),
  group: text("the group that the node counts with"),
  principal: text("the principal"),
  action: textOrNull("the action that it is for"),
  pid: { type: "integer", nullable: true, description: "the process" },
});
const MEANT = {
  ...object("how a lock taken by hand is meant; null for the claim of a process", {
    type: text("lease, generic, host or file"),
    caller: textOrNull("on whose behalf"),
    path: textOrNull("of a file lock, the path"),
  }),
  nullable: true,
};

const CLAIM_MEMBERS = {
  id: text("its id, the same in all its queues"),
  state: text("held or waiting", { enum: ["held", "waiting"] }),
  condition: text("its condition", { enum: [...STAGES, "stale", "failed", "leased", "waiting"] }),
  durable: { type: "boolean", description: "whether it outlives its session" },
  key: textOrNull("claims with the same key may be held together"),
  slots: { type: "integer", nullable: true, description: "how many may be held at once; null: any number" },
  percent: {
    type: "number",
    nullable: true,
    description: "where the slots are a percentage of the group's nodes: that percentage",
  },
  owner: OWNER,
  lease: MEANT,
  since: time("when it joined the queue; of a durable claim, when it settled"),
  stage: {
    ...object("how far the work has come; null where its owner has noted nothing", {
      name: text("the stage", { enum: [...STAGES] }),
      since: time("when it began"),
      until: textOrNull("when it will be over, or will have failed", { format: "date-time" }),
      drained: { type: "boolean", description: "whether the node has been drained for it" },
    }),
    nullable: true,
  },
  expiresAt: textOrNull("when it expires", { format: "date-time" }),
  fencingToken: { type: "integer", nullable: true, description: "grows with every change of holder" },
  reason: textOrNull("why it was made"),
  data: { description: "anything that its owner wants to show" },
  failure: {
    type: "object",
    nullable: true,
    additionalProperties: true,
    description: "why it stays although its action has ended",
  },
};

export const CLAIM = object("a claim", CLAIM_MEMBERS);
export const ENTRY = object("a claim in one of its queues", { lock: LOCK, ...CLAIM_MEMBERS });
const LOCK_MEMBERS = { lock: LOCK, holders: list(CLAIM), waiting: list(CLAIM) };
export const LOCK_STATE = object("a lock's queue, in its order", LOCK_MEMBERS);
export const FREEZE = object("a freeze: nothing that it names may begin", {
  id: text("its id"),
  locks: list(text("a pattern of locks, in which * stands for any text")),
  node: textOrNull("a pattern of nodes; null: all"),
  group: textOrNull("the group of nodes; null: all"),
  reason: text("why"),
  by: text("the principal who froze"),
  since: time("when it began"),
  until: textOrNull("when it will be over; null: when it is thawed", { format: "date-time" }),
});
const FREEZE_MEMBERS = {
  freezes: list(FREEZE),
  freezesUnreadable: {
    type: "boolean",
    description: "there, and true, where a store's freezes cannot be read: all of it counts as frozen",
  },
};
export const FREEZES = object("the freezes in force", FREEZE_MEMBERS, ["freezes"]);
export const LOCKS = object(
  "all locks that somebody claims, by name, and the freezes in force",
  { locks: list(LOCK_STATE), ...FREEZE_MEMBERS },
  ["locks", "freezes"],
);
export const HOST_STATE = object("whether a host is locked", {
  host: text("the host"),
  locked: { type: "boolean" },
  types: list(text("lease, generic, host, file or process")),
  ...LOCK_MEMBERS,
});

const LEASE_MEMBERS = {
  id: text("its id"),
  locks: list(LOCK),
  type: text("lease, generic, host or file"),
  key: CLAIM_MEMBERS.key,
  slots: CLAIM_MEMBERS.slots,
  principal: text("its owner"),
  caller: textOrNull("on whose behalf"),
  path: textOrNull("of a file lock, the path"),
  reason: CLAIM_MEMBERS.reason,
  data: CLAIM_MEMBERS.data,
  expiresAt: CLAIM_MEMBERS.expiresAt,
  fencingToken: { type: "integer", description: "grows with every change of holder of each lock" },
};
export const LEASE = object("a lease in hand", LEASE_MEMBERS);
export const HOST_LEASE = object("a lock on hosts in hand", { ...LEASE_MEMBERS, hosts: list(text("a host")) });

export const RECORD = object("a durable claim that has ended, or has failed and stays", {
  lock: LOCK,
  claim: text("its id"),
  owner: OWNER,
  lease: MEANT,
  event: text("how it ended"),
  by: textOrNull("the principal who ended it; null when it expired"),
  reason: textOrNull("why it was ended"),
  claimedAt: time("when it was granted"),
  endedAt: time("when it ended"),
  description: textOrNull("why it was made"),
  data: CLAIM_MEMBERS.data,
  failure: { ...CLAIM_MEMBERS.failure, description: "why its action failed" },
});

export const ACTION = object("the claim of an agent's action", {
  action: text("its name"),
  node: text("where it runs, or will run"),
  principal: text("who runs it"),
  lock: LOCK,
  claim: text("the claim's id"),
  condition: CLAIM_MEMBERS.condition,
  since: CLAIM_MEMBERS.since,
});

const PROBLEM_MEMBERS = {
  type: text("about:blank"),
  title: text("the kind of problem, one word for programs to compare"),
  status: { type: "integer", description: "the status" },
  detail: text("what is wrong, in words"),
};
const PROBLEM = object("a problem (RFC 9457)", PROBLEM_MEMBERS);
export const HELD = object(
  "others have the lock, or it is frozen; nothing is left in line",
  {
    ...PROBLEM_MEMBERS,
    lock: LOCK,
    holders: { ...list(CLAIM), description: "where others have it" },
    freezes: { ...list(FREEZE), description: "where it is frozen" },
  },
  [...Object.keys(PROBLEM_MEMBERS), "lock"],
);

const WORDS: Readonly<Record<number, string>> = {
  400: "the request is wrong",
  401: "this needs valid credentials",
  403: "the caller has no right to this",
  404: "not found",
  409: "the state is not what the request assumes",
  410: "the lease has ended",
  423: "others have the lock, or it is frozen",
  503: "the store does not answer, or too many requests wait already; Retry-After says when to try again",
};

/** The answers of a route: its own, its problems, and the problems that all routes have. */
export function answers(given: Readonly<Record<number, Schema>>, ...problems: readonly number[]): Schema {
  const said = [400, 401, 403, ...problems, 503].map((status) => {
    const schema = status === 423 ? HELD : PROBLEM;
    return [status, { description: WORDS[status] ?? "", content: { "application/problem+json": { schema } } }] as const;
  });
  return { ...Object.fromEntries(said), ...given };
}

/** For clients that have the document already. */
export const NOT_MODIFIED = { 304: { type: "null", description: "as the client has it" } };

const NODE_ACTION = object("what became last of an action on a node", {
  lock: LOCK,
  outcome: text("as in the results of holdline run"),
  at: time("when"),
  ranMs: { type: "number", nullable: true, description: "how long it ran, in milliseconds; null where nothing ran" },
  message: text("why, or what became of it"),
  wishedAt: time("when somebody wished for it"),
  pendingSince: textOrNull("since when a wish has been waiting for its turn; null where none is", { format: "date-time" }),
});
export const NODE = object("a node", {
  node: text("its name"),
  group: text("the group that it counts with"),
  machine: textOrNull("the machine's identity, whatever its name"),
  seenAt: time("when it was seen last"),
  version: text("its version of Holdline"),
  actions: {
    type: "object",
    description: "its actions under locks that the caller may read, by name",
    additionalProperties: NODE_ACTION,
  },
});

const count = (description: string): Schema => ({ type: "integer", description });
export const ROLLOUT = object("how far an action has come in a group of nodes", {
  action: text("the action"),
  group: text("the group"),
  since: textOrNull("when it began", { format: "date-time" }),
  nodes: count("how many nodes there are"),
  done: count("nodes that have done it since"),
  running: count("nodes that hold the lock"),
  waiting: count("nodes in line"),
  failed: count("nodes where it has failed, so that somebody has to look"),
  pending: count("nodes whose turn did not come, or whose gate was shut: they try again"),
  notYet: count("nodes of which nothing is known since it began"),
  etaMs: { type: "number", nullable: true, description: "how long it will still take at the present pace, in milliseconds" },
  each: list(
    object("a node", {
      node: text("its name"),
      state: text("how far it is", { enum: [...ROLLOUT_STATES] }),
      at: textOrNull("since when", { format: "date-time" }),
      message: text("why, or what became of it; empty where the state says it all"),
    }),
  ),
});
