// Types of the one class of node-zookeeper-client that client.ts extends. The package ships none.
declare module "node-zookeeper-client/lib/ConnectionManager.js" {
  import type { EventEmitter } from "node:events";
  import type { Socket } from "node:net";

  class ConnectionManager extends EventEmitter {
    constructor(
      servers: string,
      options: { readonly sessionTimeout: number; readonly spinDelay: number },
      listener: (state: number) => void,
    );
    readonly state: number;
    socket: Socket | undefined;
    readonly zxid: Buffer;
    readonly credentials: object[];
    readonly packetQueue: { shift(): object | undefined };
    connect(): void;
    setState(state: number): void;
    getSessionId(): Buffer;
    getSessionTimeout(): number;
    addAuthInfo(scheme: string, auth: Buffer): void;
    onSocketConnected(): void;
    onSocketData(frame: Buffer): void;
    onSocketDrain(): void;
    onSocketClosed(hadError: boolean): void;
    onSocketError(error: Error): void;
    onSocketTimeout(): void;
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
