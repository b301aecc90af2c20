// Types of the parts of node-zookeeper-client that are built on; the package ships none.
declare module "node-zookeeper-client/lib/ConnectionManager.js" {
  import type { EventEmitter } from "node:events";
  import type { OnReadOpts, Socket } from "node:net";

  class ConnectionManager extends EventEmitter {
    constructor(
      servers: string,
      options: { readonly sessionTimeout: number; readonly spinDelay: number },
      listener: (state: number) => void,
    );
    state: number;
    servers: readonly { readonly host: string; readonly port: number; readonly onread: OnReadOpts }[];
    socket: Socket | undefined;
    sessionTimeout: number;
    sessionId: Buffer;
    readonly zxid: Buffer;
    connectTimeoutHandler: NodeJS.Timeout | null;
    readonly packetQueue: { readonly queue: object[] };
    updateTimeout(sessionTimeoutMs: number): void;
    findNextServer(callback: (server: { readonly host: string; readonly port: number }) => void): void;
    connect(): void;
    onSocketConnected(): void;
    onSocketData(frame: Buffer): void;
    onSocketError(error: Error): void;
    onSocketTimeout(): void;
    addAuthInfo(scheme: string, auth: Buffer): void;
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
