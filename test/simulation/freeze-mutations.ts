// Small changes of what freezes do, each a mistake that someone could make, which the simulation must notice.
import type { Mutation } from "./mutations.js";

export const FREEZE_MUTATIONS: readonly Mutation[] = [
  {
    name: "a claim settles without a look whether the freezes are as they were read",
    in: "settleThawed",
    find: "return await settle(read);",
    replacement: "return await settle(read.slice(0, 0));",
  },
  {
    name: "a lease settles without a look whether the freezes are as they were read",
    in: "settleThawed",
    find: "bound === null ? [] : [bound.check]",
    replacement: "[]",
  },
  {
    name: "exec looks at the freezes before its turn only",
    in: "withEphemeralClaim",
    find: "const binding = subject === null ? [] :",
    replacement: "const binding = subject === null || positions.length > 0 ? [] :",
  },
  {
    name: "exec joins again with the id that its lost session has left in the queue",
    in: "withEphemeralClaim",
    find: "id: randomUUID()",
    replacement: "id: `${request.owner.node} ${request.owner.process?.pid} ${startedAt}`",
  },
  {
    name: "a leftover is taken up without a look at the freezes",
    in: "firstShutUnder",
    find: '["window", "freeze", "blockers"]',
    replacement: '["window", "blockers"]',
  },
  {
    name: "the freezes are read before a leftover is taken up instead of after it",
    in: "judgeAdopted",
    find: "const shut = await firstShutUnder(run, held);",
    replacement: "const shut = await firstShutUnder({ ...run, orders: { ...run.orders, despiteFreeze: true } }, held);",
  },
  {
    name: "a freeze is over by the node's clock",
    in: "readFreezes",
    find: "await coordinator.sync(signal) : NOTHING_HAS_ENDED",
    replacement: "{ ms: Date.now(), errorMs: 0 } : NOTHING_HAS_ENDED",
  },
  {
    name: "freezes that cannot be read are taken for none",
    in: "decodeFreezesDocument",
    find: 'if (!isObject(read) || !Array.isArray(read["freezes"]) || !read["freezes"].every(isFreeze)) return null;',
    replacement:
      'if (!isObject(read) || !Array.isArray(read["freezes"]) || !read["freezes"].every(isFreeze)) return { freezes: [], root: PLAIN_ROOT };',
  },
  {
    name: "who waits gives up its place while all of the lock is frozen",
    in: "keepsPlace",
    find: "isOfWholeLock(binding[0])",
    replacement: "!isOfWholeLock(binding[0])",
  },
  {
    name: "nobody who waits is told of a thaw",
    in: "openWatch",
    find: "if (change === null || change.documents.has(FREEZES_DOCUMENT)) changes.tell();",
    replacement: "void changes.tell;\n      void change;",
  },
];
