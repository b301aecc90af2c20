// Types of the parts of node-zookeeper-client that are built on; the package ships none.
declare module "node-zookeeper-client/lib/ConnectionManager.js" {
  import type { EventEmitter } from "node:events";
  import type { Socket } from "node:net";
  import type { Reply, Request } from "node-zookeeper-client/lib/jute/index.js";

  export interface Packet {
    readonly request: Request;
    readonly callback: (error: { readonly code: number } | null, reply?: Reply) => void;
  }

  class ConnectionManager extends EventEmitter {
    constructor(
      servers: string,
      options: { readonly sessionTimeout: number; readonly spinDelay: number },
      listener: (state: number) => void,
    );
    state: number;
    servers: readonly { readonly host: string; readonly port: number }[];
    socket: Socket | undefined;
    sessionTimeout: number;
    sessionId: Buffer;
    readonly zxid: Buffer;
    xid: number;
    connectTimeoutHandler: NodeJS.Timeout | null;
    readonly packetQueue: { readonly queue: Packet[] };
    readonly pendingQueue: Packet[];
    updateTimeout(sessionTimeoutMs: number): void;
    findNextServer(callback: (server: { readonly host: string; readonly port: number }) => void): void;
    connect(): void;
    onSocketConnected(): void;
    onSocketData(frame: Buffer): void;
    onSocketError(error: Error): void;
    onSocketTimeout(): void;
    addAuthInfo(scheme: string, auth: Buffer): void;
    queue(request: Request, callback: Packet["callback"]): void;
    static readonly STATES: {
      readonly DISCONNECTED: number;
      readonly CONNECTING: number;
      readonly CONNECTED: number;
      readonly CLOSING: number;
      readonly CLOSED: number;
      readonly SESSION_EXPIRED: number;
      readonly AUTHENTICATION_FAILED: number;
    };
  }
  export default ConnectionManager;
}

declare module "node-zookeeper-client/lib/jute/index.js" {
  interface Header {
    type: number;
    xid: number;
  }
  export interface Request {
    readonly header: Header | null;
    readonly payload: unknown;
  }
  export interface Reply {
    readonly header: { readonly zxid: Buffer };
    readonly payload: unknown;
  }
  export interface Operation {
    readonly type: number;
    readonly path: string;
    readonly data?: Buffer;
    readonly acls?: readonly { toRecord(): unknown }[];
    readonly mode?: number;
    readonly version?: number;
  }
  type Payload = new () => Record<string, unknown>;
  const jute: {
    readonly OP_CODES: {
      readonly CREATE: number;
      readonly DELETE: number;
      readonly EXISTS: number;
      readonly GET_DATA: number;
      readonly SET_DATA: number;
      readonly GET_CHILDREN2: number;
      readonly CHECK: number;
      readonly MULTI: number;
      readonly CLOSE_SESSION: number;
      readonly ERROR: number;
    };
    readonly Request: new (header: Header | null, payload: unknown) => Request;
    readonly TransactionRequest: new (operations: readonly Operation[]) => unknown;
    readonly protocol: {
      readonly RequestHeader: new () => Header;
      readonly CreateRequest: Payload;
      readonly DeleteRequest: Payload;
      readonly ExistsRequest: Payload;
      readonly GetDataRequest: Payload;
      readonly SetDataRequest: Payload;
      readonly GetChildren2Request: Payload;
    };
  };
  export default jute;
}

declare module "node-zookeeper-client/lib/ACL.js" {
  interface Acl {
    toRecord(): unknown;
  }
  const ACL: { readonly OPEN_ACL_UNSAFE: readonly Acl[]; readonly CREATOR_ALL_ACL: readonly Acl[] };
  export default ACL;
}
