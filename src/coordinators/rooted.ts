// A coordinator as everybody but `copy` sees it: it knows what its root says of itself. A root whose contents have moved refuses with
// where they are, one that is being copied takes no changes, and fencing tokens count from where they had come elsewhere.
import type { Claim, ClaimRecord } from "../locks/claim.js";
import type { Coordinator, Draft, EntryRef, Joined, JustSettled, QueuePosition, Settled } from "../locks/coordinator.js";
import type { Document, DocumentCheck } from "../locks/documents.js";
import { DocumentChangedError, HoldlineError } from "../locks/errors.js";
import { decodeFreezesDocument, FREEZES_DOCUMENT } from "../locks/freezes.js";
import { isPlain, PLAIN_ROOT, type Root, whyNotToLook, whyNotToUse } from "../locks/root.js";
import type { Session } from "../locks/session.js";

/** What the root said when it was looked at last. */
interface Seen {
  readonly root: Root;
  /** Of the document that says it. */
  readonly revision: number;
}

/**
 * Looks at the root of a coordinator, which belongs to the one that is returned.
 * @throws MovedError when everything has moved to another store, HoldlineError `conflict` when it is being filled from one
 */
export async function openRooted(coordinator: Coordinator): Promise<Coordinator> {
  const rooted = new Rooted(coordinator);
  try {
    await rooted.begin();
    return rooted;
  } catch (error) {
    await coordinator.close();
    throw error;
  }
}

class Rooted implements Coordinator {
  readonly isShared;
  readonly traits;
  readonly store?: string;
  readonly changes?: NonNullable<Coordinator["changes"]>;
  readonly examine?: NonNullable<Coordinator["examine"]>;
  readonly mend?: NonNullable<Coordinator["mend"]>;
  readonly tidy?: NonNullable<Coordinator["tidy"]>;
  readonly #inner: Coordinator;
  #seen: Seen = { root: PLAIN_ROOT, revision: 0 };
  /** The inner coordinator's own session of each that was handed out, and the other way round. */
  readonly #inside = new WeakMap<Session, Session>();
  readonly #outside = new WeakMap<Session, Session>();

  constructor(inner: Coordinator) {
    this.#inner = inner;
    this.isShared = inner.isShared;
    this.traits = inner.traits;
    for (const name of ["changes", "examine", "mend", "tidy"] as const)
      if (inner[name] !== undefined) Object.assign(this, { [name]: inner[name].bind(inner) });
    if (inner.store !== undefined) this.store = inner.store;
  }

  async begin(): Promise<void> {
    try {
      await this.#look();
    } catch (error) {
      // A user may be allowed to see locks and no freezes. What begins something reads them itself, and is refused.
      if (!(error instanceof HoldlineError) || error.code !== "not-allowed") throw error;
    }
    this.#allowLooking();
  }

  async join(draft: Draft, signal?: AbortSignal): Promise<Joined> {
    this.#allowUse();
    const { session, positions } = await this.#inner.join(draft, signal);
    return { session: this.#handOut(session), positions };
  }

  confirm(joined: Joined, signal?: AbortSignal): Promise<void> {
    return this.#inner.confirm(this.#own(joined), signal);
  }

  position(entry: EntryRef, signal?: AbortSignal): Promise<QueuePosition> {
    return this.#inner.position(entry, signal);
  }

  departed(joined: Joined, lock: string, refs: readonly string[], signal?: AbortSignal): Promise<readonly string[]> {
    return this.#inner.departed(this.#own(joined), lock, refs, signal);
  }

  /** Settles only while the root is as it was seen. A check of the freezes is a check of that; where there is none, one is added. */
  async settle(
    draft: Draft,
    joined: Joined,
    record: ClaimRecord,
    signal?: AbortSignal,
    checks: readonly DocumentCheck[] = [],
  ): Promise<JustSettled> {
    const isChecked = checks.some(({ name }) => name === FREEZES_DOCUMENT);
    for (;;) {
      this.#allowUse();
      const { revision } = this.#seen;
      const all = isChecked ? checks : [...checks, { name: FREEZES_DOCUMENT, revision }];
      try {
        const settled = await this.#inner.settle(draft, this.#own(joined), record, signal, all);
        return { ...settled, fencingToken: this.#tokenOf(settled.fencingToken) };
      } catch (error) {
        if (isChecked || !(error instanceof DocumentChangedError)) throw error;
        await this.#look(signal);
        if (this.#seen.revision === revision) throw error;
      }
    }
  }

  /** Looks before and after: what was adopted while the root was being marked is not to be worked under. */
  async adopt(
    id: string,
    entries: readonly EntryRef[],
    record: ClaimRecord,
    signal?: AbortSignal,
  ): Promise<Settled | "gone" | "changed"> {
    await this.#look(signal);
    this.#allowUse();
    const adopted = await this.#inner.adopt(id, entries, record, signal);
    await this.#look(signal);
    this.#allowUse();
    return this.#handOutSettled(adopted);
  }

  async update(
    id: string,
    settled: Settled,
    record: ClaimRecord,
    ...rest: Tail<Parameters<Coordinator["update"]>>
  ): Promise<Settled | "gone" | "changed"> {
    this.#allowUse();
    const fencingToken = settled.fencingToken - this.#seen.root.tokensAbove;
    return this.#handOutSettled(await this.#inner.update(id, { ...settled, fencingToken }, record, ...rest));
  }

  withdraw(entries: readonly EntryRef[]): Promise<void> {
    return this.#inner.withdraw(entries);
  }

  async leave(...args: Parameters<Coordinator["leave"]>) {
    this.#allowUse();
    return this.#inner.leave(...args);
  }

  async queue(...args: Parameters<Coordinator["queue"]>): Promise<readonly Claim[]> {
    this.#allowLooking();
    return this.#handOutClaims(await this.#inner.queue(...args));
  }

  async find(...args: Parameters<Coordinator["find"]>): Promise<readonly Claim[]> {
    this.#allowLooking();
    return this.#handOutClaims(await this.#inner.find(...args));
  }

  async list(signal?: AbortSignal) {
    this.#allowLooking();
    return this.#inner.list(signal);
  }

  async history(...args: Parameters<Coordinator["history"]>) {
    this.#allowLooking();
    return this.#inner.history(...args);
  }

  watch(...args: Parameters<Coordinator["watch"]>) {
    return this.#inner.watch(...args);
  }

  async document(name: string, signal?: AbortSignal): Promise<Document | null> {
    const document = await this.#inner.document(name, signal);
    if (name === FREEZES_DOCUMENT) this.#see(document);
    return document;
  }

  documents(prefix: string, signal?: AbortSignal): Promise<readonly Document[]> {
    return this.#inner.documents(prefix, signal);
  }

  async writeDocument(...args: Parameters<Coordinator["writeDocument"]>) {
    this.#allowUse();
    return this.#inner.writeDocument(...args);
  }

  sync(signal?: AbortSignal) {
    return this.#inner.sync(signal);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #look(signal?: AbortSignal): Promise<void> {
    this.#see(await this.#inner.document(FREEZES_DOCUMENT, signal));
  }

  #see(document: Document | null): void {
    // What cannot be read says nothing of the root. Those who begin something read it themselves, and refuse.
    const root = decodeFreezesDocument(document?.value ?? null)?.root ?? this.#seen.root;
    const revision = document?.revision ?? 0;
    // The document of a root that was ever copied is never removed: a server that is behind may still show what was before.
    if (isPlain(this.#seen.root) || revision > this.#seen.revision) this.#seen = { root, revision };
  }

  #allowUse(): void {
    const problem = whyNotToUse(this.#seen.root);
    if (problem !== null) throw problem;
  }

  #allowLooking(): void {
    const problem = whyNotToLook(this.#seen.root);
    if (problem !== null) throw problem;
  }

  #tokenOf(token: number): number {
    return token + this.#seen.root.tokensAbove;
  }

  #handOutSettled(outcome: Settled | "gone" | "changed"): Settled | "gone" | "changed" {
    return typeof outcome === "string" ? outcome : { ...outcome, fencingToken: this.#tokenOf(outcome.fencingToken) };
  }

  #handOutClaims(claims: readonly Claim[]): readonly Claim[] {
    if (this.#seen.root.tokensAbove === 0) return claims;
    return claims.map((claim) =>
      claim.fencingToken === null ? claim : { ...claim, fencingToken: this.#tokenOf(claim.fencingToken) },
    );
  }

  #own({ session, positions }: Joined): Joined {
    return { session: this.#inside.get(session) ?? session, positions };
  }

  #handOut(session: Session): Session {
    const known = this.#outside.get(session);
    if (known !== undefined) return known;
    const tokenOf = (token: number): number => this.#tokenOf(token);
    const outside: Session = {
      id: session.id,
      get lost() {
        return session.lost;
      },
      get graceMs() {
        return session.graceMs;
      },
      heldUntil: () => session.heldUntil(),
      latestRevision: () => tokenOf(session.latestRevision()),
    };
    this.#outside.set(session, outside);
    this.#inside.set(outside, session);
    return outside;
  }
}

/** What follows the first three. */
type Tail<T extends readonly unknown[]> = T extends [unknown, unknown, unknown, ...infer R] ? R : never;
