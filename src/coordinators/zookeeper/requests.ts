// Requests under way on one connection. A server answers them in the order in which they were sent.
import type { Socket } from "node:net";
import { Answer, type Request } from "./jute.js";
import { WireError, ZK } from "./protocol.js";

// Request numbers are 31 bits wide, and negative ones are reserved.
const HIGHEST_NUMBER = 0x7fff_ffff;

interface Pending {
  readonly number: number;
  readonly sentAt: number;
  readonly confirms: number | null;
  /** Takes the answer, in the turn in which it is read. */
  readonly answered: (frame: Buffer, code: number) => void;
  readonly lost: () => void;
}

/** A request that was answered, in the clock of the connection. */
interface Answered {
  readonly sentAt: number;
  /** As of when the answer confirms the session; `null` where it does not. */
  readonly confirms: number | null;
}

export class Requests {
  /** In the order in which they were sent. */
  readonly #pending: Pending[] = [];
  #number = 0;
  #corked: Socket | null = null;

  /**
   * Sends a request. Those of one turn go out together.
   * @param sent when that is, and as of when its answer will confirm the session
   * @param read takes what is wanted out of a good answer, in the turn in which it comes
   * @param refused makes of an error code what is to be made of it
   * @throws WireError when the connection is lost before the answer
   */
  send<T>(socket: Socket, request: Request, sent: Answered, read: (answer: Answer) => T, refused: (code: number) => T): Promise<T> {
    this.#number = this.#number === HIGHEST_NUMBER ? 1 : this.#number + 1;
    const number = this.#number;
    request.number = number;
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
      this.#pending.push({ number, ...sent, answered, lost: () => reject(new WireError(ZK.connectionLoss)) });
      this.#write(socket, request.frame);
    });
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
    return first;
  }

  /** The connection is gone: nobody knows what has become of any of them. */
  lose(): void {
    for (const { lost } of this.#pending.splice(0)) lost();
  }
}
