// Requests under way on one connection. A server answers them in the order in which they were sent.
import type { Socket } from "node:net";
import { Answer, type Request } from "./jute.js";
import { WireError, ZK } from "./protocol.js";

// Request numbers are 31 bits wide, and negative ones are reserved.
const HIGHEST_NUMBER = 0x7fff_ffff;

// A server keeps every request of a client, and every answer that the client has not taken yet, in its heap, and nothing
// on its side bounds that: 3,000 lists of 3,000 names, asked for in one turn, are 700 MB. As many as this may be under way
// on a connection; the others wait here, in their order. It is many times what a round trip needs to be full, and the
// lists among them (tens of kilobytes for a thousand names) are one for each lock.
const MOST_UNDER_WAY = 256;

interface Waiting {
  readonly socket: Socket;
  readonly request: Request;
  /** Called when it is sent. */
  readonly stamp: () => Answered;
  /** Takes the answer, in the turn in which it is read. */
  readonly answered: (frame: Buffer, code: number) => void;
  readonly lost: () => void;
}

/** A request that was answered, in the clock of the connection. */
export interface Answered {
  readonly sentAt: number;
  /** As of when the answer confirms the session; `null` where it does not. */
  readonly confirms: number | null;
}

interface Pending extends Waiting, Answered {
  readonly number: number;
}

export class Requests {
  /** In the order in which they were sent. */
  readonly #pending: Pending[] = [];
  /** Those that are sent when others have been answered, in their order. */
  readonly #waiting: Waiting[] = [];
  #number = 0;
  #corked: Socket | null = null;

  /**
   * Sends a request. Those of one turn go out together.
   * @param stamp says, when it is sent, when that is, and as of when its answer will confirm the session
   * @param read takes what is wanted out of a good answer, in the turn in which it comes
   * @param refused makes of an error code what is to be made of it
   * @throws WireError when the connection is lost before the answer
   */
  send<T>(
    socket: Socket,
    request: Request,
    stamp: () => Answered,
    read: (answer: Answer) => T,
    refused: (code: number) => T,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const answered = (frame: Buffer, code: number): void => {
        try {
          resolve(code === 0 ? read(new Answer(frame)) : refused(code));
        } catch (error) {
          reject(error);
          // What cannot be read is the connection's affair as well.
          if (!(error instanceof WireError)) throw error;
        }
      };
      this.#waiting.push({ socket, request, stamp, answered, lost: () => reject(new WireError(ZK.connectionLoss)) });
      this.#sendNext();
    });
  }

  #sendNext(): void {
    while (this.#pending.length < MOST_UNDER_WAY) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#number = this.#number === HIGHEST_NUMBER ? 1 : this.#number + 1;
      next.request.number = this.#number;
      this.#pending.push({ ...next, ...next.stamp(), number: this.#number });
      this.#write(next.socket, next.request.frame);
    }
  }

  #write(socket: Socket, frame: Buffer): void {
    if (this.#corked !== socket) {
      this.#corked = socket;
      socket.cork();
      process.nextTick(() => {
        if (this.#corked === socket) this.#corked = null;
        socket.uncork();
      });
    }
    socket.write(frame);
  }

  /** Gives an answer to its caller, and says what it answers. */
  answered(frame: Buffer, { xid, code }: { readonly xid: number; readonly code: number }): Answered {
    const [first] = this.#pending;
    if (first?.number !== xid) throw new Error("it answers no request, or another one");
    this.#pending.shift();
    first.answered(frame, code);
    this.#sendNext();
    return first;
  }

  /** The connection is gone: nobody knows what has become of any of them. */
  lose(): void {
    for (const { lost } of [...this.#pending.splice(0), ...this.#waiting.splice(0)]) lost();
  }
}
