// The model of a store, for those who write one: contents as plain data, what steps do to them, and what clients read of them. A store that
// keeps all of its contents in one place needs no more than this and a way to change that place atomically. Re-exports only.
export { type Contents, emptyContents, type Entry, lives, type StoredSession } from "./contents.js";
export { archivedIn, documentsIn, endedSessions, entriesIn, entriesOfClaim, lineOf, lockNames, trimmedArchive } from "./looks.js";
export { carryOut, type Effects, refusalOf } from "./steps.js";
export { decodeContents, encodeContents } from "./text.js";
