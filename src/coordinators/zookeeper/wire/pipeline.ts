// Requests that wait for their answers on one connection. A server answers them in the order in which they were sent.
import type { Socket } from "node:net";
import { Answer, type Request } from "./jute.js";
import { WireError, ZK } from "./protocol.js";

// Request numbers are 31 bits wide, and negative ones are reserved.
const HIGHEST_NUMBER = 0x7fff_ffff;

// A server keeps every request of a client, and every answer that the client has not read yet, in its heap, without a bound:
// 3,000 lists of 3,000 names, requested in one turn, take 700 MB. So at most this many requests are under way on a connection, and
// the others wait here in their order. That is many times what fills a round trip, and the lists among them (tens of kilobytes for
// a thousand names) are one for each lock.
const MOST_UNDER_WAY = 256;

interface Waiting {
  readonly socket: Socket;
  readonly request: Request;
  /** Called when it is sent. */
  readonly stamp: () => Answered;
  /** Called with the answer, in the turn in which it arrives. */
  readonly answered: (frame: Buffer, code: number) => void;
  /** @param sentBytes how long it is, where it was sent */
  readonly lost: (sentBytes: number) => void;
}

/** When a request was sent, and what its answer proves, by the connection's clock. */
export interface Answered {
  readonly sentAt: number;
  /** The time as of which the answer confirms the session; `null` when it does not confirm it. */
  readonly confirms: number | null;
}

interface Pending extends Waiting, Answered {
  readonly number: number;
}

export class Pipeline {
  /** In the order in which they were sent. */
  readonly #pending: Pending[] = [];
  /** Those that go out once others have been answered, in their order. */
  readonly #waiting: Waiting[] = [];
  #number = 0;
  #corked: Socket | null = null;

  /**
   * Sends a request. Those of one turn of the event loop go out together.
   * @param stamp called when the request goes out; gives that time, and what the answer will prove
   * @param parse reads a good answer, in the turn in which it arrives
   * @param onRefusal gives the result, or throws, for an error code
   * @throws WireError when the connection is lost before the answer
   */
  send<T>(
    socket: Socket,
    request: Request,
    stamp: () => Answered,
    parse: (answer: Answer) => T,
    onRefusal: (code: number) => T,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const answered = (frame: Buffer, code: number): void => {
        try {
          resolve(code === 0 ? parse(new Answer(frame)) : onRefusal(code));
        } catch (error) {
          reject(error);
          // An answer that cannot be read is a problem of the whole connection.
          if (!(error instanceof WireError)) throw error;
        }
      };
      this.#waiting.push({
        socket,
        request,
        stamp,
        answered,
        lost: (sentBytes) => reject(new WireError(ZK.connectionLoss, null, sentBytes)),
      });
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

  /** Gives an answer to the request's caller, and tells when that request was sent. */
  onAnswer(frame: Buffer, { xid, code }: { readonly xid: number; readonly code: number }): Answered {
    const [first] = this.#pending;
    if (first?.number !== xid) throw new Error("it answers no request, or another one");
    this.#pending.shift();
    first.answered(frame, code);
    this.#sendNext();
    return first;
  }

  /** The connection is gone: whether the server has carried out any of the requests is unknown. */
  failAll(): void {
    for (const { lost, request } of this.#pending.splice(0)) lost(request.frame.length);
    for (const { lost } of this.#waiting.splice(0)) lost(0);
  }
}
