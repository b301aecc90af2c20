// What a command prints: passes it on as it comes, keeps the last part, and lets go of the pipes without harm to a daemon that
// still holds them.
import { spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";

/** How much of the end of a command's output this keeps: enough for an error message with its context, little enough for a claim's record. */
export const TAIL_BYTES = 4_096;

// When a command ends, all that it has printed is in its pipes, so reading it takes no waiting. A pipe that stays silent for
// this long after that is empty, and open only because a daemon that the command started still holds it.
const SILENCE_MS = 100;
// A daemon that never falls silent must not keep its action from ending. A pipe holds a few hundred KiB at most, so the
// command itself cannot have printed what comes after this much, or this late.
const DRAIN_LIMIT_BYTES = 4 * 1_048_576;
const DRAIN_LIMIT_MS = 1_000;

/** One stream of a command, and where it goes; `null`: nowhere. */
export interface Channel {
  readonly source: Readable;
  readonly sink: Writable | null;
}

export interface Output {
  /** Call it when the command has ended. Resolves when everything that the command printed has been passed on. */
  finish(): Promise<void>;
  /** The last {@link TAIL_BYTES} of all channels together, as they came. */
  readonly tail: () => string;
}

/** Begins to read at once. A sink that is full slows the command down; a sink that breaks does not. */
export function readOutput(channels: readonly Channel[]): Output {
  const kept = createTail();
  const relays = channels.map((channel) => relay(channel, kept.add));
  return {
    async finish() {
      await Promise.all(relays.map((each) => each.finish()));
    },
    tail: kept.text,
  };
}

function relay({ source, sink }: Channel, keep: (chunk: Buffer) => void): { finish(): Promise<void> } {
  let sinkWorks = sink !== null;
  let isDraining = false;
  let drainedBytes = 0;
  const goOn = () => void source.resume();
  const sinkBroke = () => {
    // The reader has gone (`holdline run | head`). That is no reason to stop an action half-way.
    sinkWorks = false;
    goOn();
  };
  sink?.on("drain", goOn);
  sink?.on("error", sinkBroke);
  sink?.on("close", sinkBroke);

  source.on("data", (chunk: Buffer) => {
    keep(chunk);
    if (isDraining) drainedBytes += chunk.length;
    const isTaken = sink === null || !sinkWorks || sink.destroyed || sink.writableEnded || sink.write(chunk);
    // Once the command has ended, little is left and nothing needs slowing down; and a reader that has stopped reading must
    // not keep the lock.
    if (isDraining ? drainedBytes > DRAIN_LIMIT_BYTES : !isTaken) source.pause();
  });
  const ended = new Promise<void>((resolve) => source.once("close", resolve));
  // "close" follows an error, too.
  source.on("error", () => undefined);

  return {
    async finish() {
      isDraining = true;
      goOn();
      if (!source.destroyed) await Promise.race([ended, silence(() => drainedBytes)]);
      if (!source.destroyed) handOver(source);
      sink?.off("drain", goOn);
      sink?.off("error", sinkBroke);
      sink?.off("close", sinkBroke);
    },
  };
}

/** Resolves when no bytes have come for {@link SILENCE_MS}, or when they have come for too long. */
async function silence(drainedBytes: () => number): Promise<void> {
  for (let waitedMs = 0; waitedMs < DRAIN_LIMIT_MS; waitedMs += SILENCE_MS) {
    const before = drainedBytes();
    await delay(SILENCE_MS);
    // Timers come first in every turn of the event loop. If this process was held up, the time may be over before it has read
    // its pipes even once; by the end of the turn it has.
    await nextTurn();
    if (drainedBytes() === before) return;
  }
}

/**
 * Leaves a pipe that a daemon still writes to. Closing it would kill the daemon with SIGPIPE at its next line, long after the
 * action that started it succeeded. So a `cat` takes the reading end, throws away what comes, and ends with the daemon.
 */
function handOver(source: Readable): void {
  source.removeAllListeners("data");
  // When node gives a stream to another process it drops the stream's handle, and never closes it.
  const { _handle: handle } = source as { readonly _handle?: { close?(): void } | null };
  const drain = spawn("cat", [], { detached: true, cwd: "/", stdio: [source, "ignore", "ignore"] });
  // Without a `cat`, closing the pipe is all that is left.
  drain.once("error", () => undefined);
  drain.unref();
  source.destroy();
  if ((source as { readonly _handle?: unknown })._handle !== handle) handle?.close?.();
}

/** Keeps the end of all that is added, in little memory. */
export function createTail(): { readonly add: (chunk: Buffer) => void; readonly text: () => string } {
  let chunks: Buffer[] = [];
  let bytes = 0;
  return {
    add(chunk) {
      chunks.push(chunk);
      bytes += chunk.length;
      // Joined only now and then, so that many small chunks cost little; and to more than the tail, so that `text` still sees
      // that something was cut off.
      if (bytes < 16 * TAIL_BYTES) return;
      chunks = [Buffer.from(Buffer.concat(chunks).subarray(-2 * TAIL_BYTES))];
      bytes = 2 * TAIL_BYTES;
    },
    text: () => textOfEnd(Buffer.concat(chunks)),
  };
}

function textOfEnd(bytes: Buffer): string {
  const text = fromBoundary(bytes).toString("utf8");
  // Bytes that are not UTF-8 have grown: each is three bytes in the text.
  return Buffer.byteLength(text) <= TAIL_BYTES ? text : fromBoundary(Buffer.from(text)).toString("utf8");
}

/** The last {@link TAIL_BYTES}, without the remainder of a character that the cut has hit. */
function fromBoundary(bytes: Buffer): Buffer {
  if (bytes.length <= TAIL_BYTES) return bytes;
  let start = bytes.length - TAIL_BYTES;
  // A character has at most three bytes after its first. More of them in a row are not UTF-8 anyway.
  for (let skipped = 0; skipped < 3 && ((bytes[start] as number) & 0xc0) === 0x80; skipped += 1) start += 1;
  return bytes.subarray(start);
}
