// Changes of locks as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): a new client gets
// all locks, and then each lock that changes. A client that reconnects gets what it missed, as far as that is still kept.
import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { readWhole } from "../config/field.js";
import { isoTime } from "../locks/durations.js";
import type { Caller } from "./access.js";
import { freezesSeenBy, freezesText } from "./fleet.js";
import type { Service } from "./service.js";
import type { MirrorChange } from "./store-copy.js";
import { freeText, locksText } from "./v1/locks.js";
import { answers, asked } from "./v1/schemas.js";
import { readMember, requireSome } from "./v1/values.js";

// Enough for a page that reloads, or a laptop that changes its network. A client that misses more gets all locks again.
const MOST_KEPT = 1_000;
const MOST_KEPT_BYTES = 4 * 2 ** 20;
// How much may still wait for a client when the next change comes. A dropped client reconnects.
const LARGEST_BACKLOG_BYTES = 2 ** 20;
// Proxies close connections that are silent for a minute or less.
const BEAT_S = 15;
const RAREST_BEAT_S = 60;
const RETRY_MS = 2_000;

interface KeptEvent {
  readonly number: number;
  readonly lock: string;
  readonly block: Buffer;
}

/** A client that follows changes. */
interface Stream {
  readonly caller: Caller;
  readonly response: ServerResponse;
  /** The seconds between two beats. */
  readonly beatS: number;
  /** The bytes of its beginning that the client has not read yet: they do not count as backlog. */
  allowance: number;
}

/** How a stream begins. */
interface Beginning {
  /** The events to replay; `null`: all locks instead. */
  readonly missed: readonly KeptEvent[] | null;
  /** The seconds that may lie between beats; `null` where the client did not say. */
  readonly beatS: number | null;
}

export function routeEvents(app: FastifyInstance, service: Service): void {
  const feed = new Feed(service);
  app.addHook("onClose", () => feed.close());

  app.get<{ Querystring: Readonly<Record<string, string>> }>("/v1/events", {
    // A stream has no end, and so no length for HEAD.
    exposeHeadRoute: false,
    schema: {
      operationId: "events",
      summary: "Changes of locks, freezes and nodes, as server-sent events",
      description:
        "First an event `locks` with all locks, as /v1/locks gives them; then, for each lock that changes, an event `lock`, as " +
        "/v1/locks/:lock gives it, with empty lists when nobody claims it any more. With Last-Event-ID only what was missed is " +
        "sent, where that is known; else all locks again. An event `freezes` has all freezes in force, at the beginning and whenever " +
        "one begins or ends. An event `nodes` names nodes whose documents have changed: /v1/nodes has them. An event `store` says that a store does not answer, and until when the " +
        "locks are known (`silentSince`; null: it answers again). An event `beat`, with the caller's name, says that the stream still runs.",
      tags: ["locks"],
      headers: { type: "object", properties: { "last-event-id": { type: "string", description: "the id of the last event" } } },
      querystring: asked({
        beat: { type: "string", description: `how many seconds may lie between two beats; ${BEAT_S} by default` },
      }),
      response: answers({
        200: { description: "the events", content: { "text/event-stream": { schema: { type: "string" } } } },
      }),
    },
    async handler(request, reply) {
      requireSome(request.caller, "read");
      const beatS = readMember(request.query, "beat", (field) => readWhole(field, 1, RAREST_BEAT_S), null);
      const leave = service.limits.streams.enter();
      if (leave === null) return service.limits.streams.refuse(reply);
      reply.raw.once("close", leave);
      const missed = feed.missedSince(request.headers["last-event-id"]);
      // A silent store holds nobody up: the client gets the last known locks, and an event that says so.
      if (missed === null) await service.pulse.look(request.patience);
      request.patience.throwIfAborted();
      void reply.header("Content-Type", "text/event-stream; charset=utf-8").header("Cache-Control", "no-store");
      // Some proxies buffer an answer before they pass it on.
      void reply.header("X-Accel-Buffering", "no").hijack();
      reply.raw.writeHead(200, reply.getHeaders() as Record<string, string>);
      feed.add(request, reply.raw, { missed, beatS });
      return reply;
    },
  });
}

/** The events of this server, numbered from its start, each id with a word that is new with every start. */
class Feed {
  readonly #service: Service;
  readonly #epoch = randomBytes(6).toString("hex");
  readonly #streams = new Set<Stream>();
  readonly #unsubscribe: () => void;
  readonly #heartbeat: NodeJS.Timeout;
  /** Seconds since the start. */
  #ticks = 0;
  /** Ends the subscription to the pulse, which lasts as long as there are streams. */
  #rest: (() => void) | null = null;
  /** The newest last. */
  #kept: KeptEvent[] = [];
  #keptBytes = 0;
  #last = 0;
  /** All locks as one event, by the caller's name, until something changes: a thousand pages may reload at once. */
  readonly #snapshots = new Map<string, Buffer>();

  constructor(service: Service) {
    this.#service = service;
    this.#unsubscribe = service.mirror.subscribe((change) => this.#tell(change));
    this.#heartbeat = setInterval(() => this.#tick(), 1_000).unref();
    service.signal.addEventListener("abort", () => this.close(), { once: true });
  }

  /** The events after the one with this id; `null` where that is not known. */
  missedSince(id: string | readonly string[] | undefined): readonly KeptEvent[] | null {
    const [, epoch, digits] = /^([0-9a-f]+)-(\d{1,15})$/.exec(typeof id === "string" ? id : "") ?? [];
    const number = Number(digits);
    if (epoch !== this.#epoch || number > this.#last || number < this.#last - this.#kept.length) return null;
    return this.#kept.filter((event) => event.number > number);
  }

  /** Starts a stream with the missed events, or with all locks as they were read last. A client that asks for beats gets one at once. */
  add({ caller, patience }: FastifyRequest, response: ServerResponse, { missed, beatS }: Beginning): void {
    const stream: Stream = { caller, response, beatS: beatS ?? BEAT_S, allowance: 0 };
    response.once("close", () => this.#drop(stream));
    // The page's session may end before the client goes.
    patience.addEventListener("abort", () => response.end(), { once: true });
    response.on("drain", () => (stream.allowance = 0));
    this.#streams.add(stream);
    response.write(`retry: ${RETRY_MS}\n\n`);
    const blocks = missed?.flatMap(({ lock, block }) => (caller.mayWith("read", lock) ? [block] : [])) ?? [
      this.#snapshotFor(caller),
    ];
    for (const block of blocks) response.write(block);
    // All locks have the freezes with them.
    if (missed !== null) response.write(this.#freezesBlockFor(caller));
    this.#rest ??= this.#service.pulse.subscribe((silentSince) => this.#tellOfStore(silentSince));
    const { silentSince } = this.#service.pulse;
    if (silentSince !== null) response.write(storeBlock(silentSince));
    if (beatS !== null) response.write(beatBlock(stream));
    stream.allowance = response.writableLength;
  }

  close(): void {
    this.#unsubscribe();
    this.#rest?.();
    clearInterval(this.#heartbeat);
    for (const { response } of this.#streams) response.end();
  }

  #snapshotFor(caller: Caller): Buffer {
    const known = this.#snapshots.get(caller.name);
    if (known !== undefined) return known;
    const locks = this.#service.mirror.latest().filter(({ lock }) => caller.mayWith("read", lock));
    const snapshot = this.#blockOf("locks", locksText(locks, this.#freezesFor(caller)));
    this.#snapshots.set(caller.name, snapshot);
    return snapshot;
  }

  #freezesFor(caller: Caller): string {
    return freezesText(freezesSeenBy(caller, this.#service.mirror.freezes()));
  }

  /** It has no id: a client that reconnects gets all freezes again. */
  #freezesBlockFor(caller: Caller): string {
    return `event: freezes\ndata: {${this.#freezesFor(caller)}}\n\n`;
  }

  #tell({ changed, gone, nodes, hasFreezes }: MirrorChange): void {
    this.#snapshots.clear();
    // Changes at one time count as one: even the quickest client cannot read in between.
    for (const stream of this.#streams) this.#dropIfBehind(stream);
    for (const { lock, text } of changed) this.#emit(lock, text);
    for (const lock of gone) this.#emit(lock, freeText(lock));
    if (hasFreezes) for (const { caller, response } of this.#streams) response.write(this.#freezesBlockFor(caller));
    if (nodes.length === 0) return;
    const block = `event: nodes\ndata: ${JSON.stringify({ nodes })}\n\n`;
    for (const { response } of this.#streams) response.write(block);
  }

  #emit(lock: string, text: string): void {
    this.#last += 1;
    const block = this.#blockOf("lock", text);
    this.#kept.push({ number: this.#last, lock, block });
    this.#keptBytes += block.length;
    while (this.#kept.length > MOST_KEPT || this.#keptBytes > MOST_KEPT_BYTES)
      this.#keptBytes -= this.#kept.shift()?.block.length ?? 0;
    for (const stream of this.#streams) if (stream.caller.mayWith("read", lock)) stream.response.write(block);
  }

  #blockOf(event: string, text: string): Buffer {
    return Buffer.from(`id: ${this.#epoch}-${this.#last}\nevent: ${event}\ndata: ${text}\n\n`);
  }

  #dropIfBehind(stream: Stream): void {
    const { caller, response, allowance } = stream;
    if (response.writableLength <= LARGEST_BACKLOG_BYTES + allowance) return;
    this.#service.log.info({ caller: caller.name }, "an event stream was dropped: its client reads too slowly");
    this.#drop(stream);
    response.destroy();
  }

  #drop(stream: Stream): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0) return;
    this.#rest?.();
    this.#rest = null;
  }

  #tellOfStore(silentSince: number | null): void {
    for (const { response } of this.#streams) response.write(storeBlock(silentSince));
  }

  /** Sends beats, but none to a client that has not read what it has: sockets.ts drops clients that read nothing for long. */
  #tick(): void {
    this.#ticks += 1;
    for (const stream of this.#streams)
      if (this.#ticks % stream.beatS === 0 && stream.response.writableLength === 0) stream.response.write(beatBlock(stream));
  }
}

/** It has no id: a client that reconnects gets it again while it is true. */
function storeBlock(silentSince: number | null): string {
  const iso = silentSince === null ? null : isoTime(silentSince);
  return `event: store\ndata: ${JSON.stringify({ silentSince: iso })}\n\n`;
}

/** An event and no comment, because browsers hide comments from the page, which must know whether the stream still runs. */
function beatBlock({ caller }: Stream): string {
  return `event: beat\ndata: ${JSON.stringify({ caller: caller.name })}\n\n`;
}
