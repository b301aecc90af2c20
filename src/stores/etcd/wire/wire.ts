// etcd's calls as the store uses them, over whichever member the connection is to.
import type { Links } from "./links.js";
import type { Link } from "./link.js";
import {
  type Alarm,
  decodeAlarms,
  decodeHeader,
  decodeLease,
  decodeRange,
  decodeStatus,
  decodeTransaction,
  encodeGrant,
  encodeLease,
  encodeRange,
  encodeTransaction,
  type Header,
  type MemberStatus,
  type RangeRequest,
  type RangeResponse,
  type Transaction,
  type TransactionResponse,
} from "./messages.js";
import { MessageReader } from "./protobuf.js";

const NOTHING = Buffer.alloc(0);

export class Wire {
  constructor(readonly links: Links) {}

  /** Reads what a majority has: everything that was committed before the call. */
  async range(request: RangeRequest): Promise<RangeResponse & { readonly header: Header }> {
    const link = await this.links.current();
    const message = new MessageReader(await link.call("KV/Range", encodeRange(request)));
    return { ...decodeRange(message), header: confirmed(link, decodeHeader(message)) };
  }

  /** @param on the connection to use, for those who need the same member twice */
  async transact(transaction: Transaction, on?: Link): Promise<TransactionResponse> {
    const link = on ?? (await this.links.current());
    const response = decodeTransaction(await link.call("KV/Txn", encodeTransaction(transaction)));
    confirmed(link, response.header);
    return response;
  }

  /** @returns the lease */
  async grant(seconds: number): Promise<string> {
    const link = await this.links.current();
    const { lease, header } = decodeLease(await link.call("Lease/LeaseGrant", encodeGrant(seconds)));
    confirmed(link, header);
    return lease;
  }

  /** Ends a lease with all that hangs on it. @throws LeaseGoneError when it has ended before */
  async revoke(lease: string): Promise<Header> {
    const link = await this.links.current();
    const reply = await link.call("Lease/LeaseRevoke", encodeLease(lease));
    return confirmed(link, decodeHeader(new MessageReader(reply)));
  }

  /** Renews a lease. The leader answers alone: whether it is one still, only a majority can say. @returns whether the lease is there */
  async keepAlive(lease: string, link: Link): Promise<boolean> {
    return decodeLease(await link.call("Lease/LeaseKeepAlive", encodeLease(lease))).seconds > 0;
  }

  async status(): Promise<MemberStatus> {
    return decodeStatus(await (await this.links.current()).call("Maintenance/Status", NOTHING));
  }

  async alarms(): Promise<ReadonlySet<Alarm>> {
    return decodeAlarms(await (await this.links.current()).call("Maintenance/Alarm", NOTHING));
  }
}

/** Notes the term of a reply that a majority stands behind. */
function confirmed(link: Link, header: Header): Header {
  link.term = header.term;
  return header;
}
