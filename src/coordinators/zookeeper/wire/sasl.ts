// Logging in by SASL before anything else is asked of a server: requests of a type of their own carry the two sides' tokens. The server
// speaks first, once it has been sent an empty token.
import { HoldlineError, messageOf } from "../../../locks/errors.js";
import type { ReadLogin } from "./access.js";
import { answerChallenge, type DigestAnswer } from "./digest-md5.js";
import { Answer, Request } from "./jute.js";
import { parseHead } from "./messages.js";
import { TYPE, XID } from "./protocol.js";

// What every ZooKeeper server calls itself in DIGEST-MD5: service and host.
const URI = "zookeeper/zk-sasl-md5";

//   begun → (challenge) answered → (proof) done; any → (throws) refused
export class SaslLogin {
  readonly #login: ReadLogin;
  #answer: DigestAnswer | null = null;

  constructor(login: ReadLogin) {
    this.#login = login;
  }

  /** The first request. */
  begin(): Buffer {
    return requestOf(Buffer.alloc(0));
  }

  /**
   * Takes a server's answer.
   * @returns the next request; `null` when both sides are satisfied
   * @throws HoldlineError when one of them is not
   */
  onAnswer(frame: Buffer): Buffer | null {
    const token = tokenIn(frame);
    if (this.#answer === null) {
      if (token === null) throw notOffered();
      this.#answer = answered(token, this.#login);
      return requestOf(this.#answer.response);
    }
    // A server that is told to keep clients whose login failed answers with nothing.
    if (token === null) throw refused();
    if (!isProven(this.#answer, token)) {
      throw new HoldlineError(
        "not-allowed",
        "the ZooKeeper server does not prove that it knows the password of the coordinator URL",
        {
          hint: "is it the server that the URL means? Something in between may have answered in its place",
        },
      );
    }
    return null;
  }
}

/** Whether a frame is an answer to such a request. */
export function isSaslAnswer(frame: Buffer): boolean {
  return parseHead(frame)?.xid === XID.sasl;
}

function requestOf(token: Buffer): Buffer {
  const request = new Request(TYPE.sasl, 4 + token.length).bytes(token);
  request.number = XID.sasl;
  return request.frame;
}

function tokenIn(frame: Buffer): Buffer | null {
  if (parseHead(frame)?.code !== 0) throw refused();
  const [from, to] = new Answer(frame).span();
  return from === to ? null : frame.subarray(from, to);
}

function answered(challenge: Buffer, login: ReadLogin): DigestAnswer {
  try {
    return answerChallenge(challenge, login, URI);
  } catch (error) {
    throw new HoldlineError("configuration", `the ZooKeeper server's SASL login cannot be used: ${messageOf(error)}`, {
      hint: "the servers need org.apache.zookeeper.server.auth.DigestLoginModule in the section Server of their JAAS file",
      cause: error,
    });
  }
}

function isProven(answer: DigestAnswer, word: Buffer): boolean {
  try {
    return answer.isProof(word);
  } catch {
    // What is no DIGEST-MD5 proves nothing.
    return false;
  }
}

function notOffered(): HoldlineError {
  return new HoldlineError("configuration", "the ZooKeeper server has no SASL login", {
    hint: "its Java needs -Djava.security.auth.login.config=FILE, with a section Server; or leave ?sasl= out of the coordinator URL",
  });
}

function refused(): HoldlineError {
  return new HoldlineError("not-allowed", "ZooKeeper refused the user or the password of the coordinator URL in its SASL login", {
    hint: 'the servers know users by user_NAME="PASSWORD" in the section Server of their JAAS file',
  });
}
