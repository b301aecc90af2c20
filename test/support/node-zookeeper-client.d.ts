// Types of the parts of node-zookeeper-client's public face that tests use; the package ships none.
declare module "node-zookeeper-client" {
  import type { EventEmitter } from "node:events";

  type Callback<T> = (error: Error | null, result: T) => void;

  export interface Acl {
    readonly permission: number;
    readonly id: { readonly scheme: string; readonly id: string };
  }

  export interface Client extends EventEmitter {
    connect(): void;
    close(): void;
    addAuthInfo(scheme: string, auth: Buffer): void;
    getACL(path: string, callback: Callback<readonly Acl[]>): void;
    setACL(path: string, acls: readonly Acl[], version: number, callback: Callback<object>): void;
    getSessionId(): Buffer;
    create(path: string, data: Buffer, callback: Callback<string>): void;
    create(path: string, data: Buffer, mode: number, callback: Callback<string>): void;
    exists(path: string, callback: Callback<object | null>): void;
    getData(path: string, callback: Callback<Buffer>): void;
    setData(path: string, data: Buffer, callback: Callback<object>): void;
    getChildren(path: string, callback: Callback<string[]>): void;
    remove(path: string, callback: Callback<undefined>): void;
    mkdirp(path: string, callback: Callback<string>): void;
  }

  const zookeeper: {
    createClient(servers: string, options?: { readonly sessionTimeout?: number; readonly spinDelay?: number }): Client;
    readonly ACL: new (permission: number, id: Acl["id"]) => Acl;
    readonly Id: new (scheme: string, id: string) => Acl["id"];
    readonly CreateMode: {
      readonly PERSISTENT: number;
      readonly EPHEMERAL: number;
      readonly PERSISTENT_SEQUENTIAL: number;
      readonly EPHEMERAL_SEQUENTIAL: number;
    };
  };
  export default zookeeper;
}
