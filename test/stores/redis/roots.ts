// What tests do to a root on a Redis server behind the store's back.
import { askRedis } from "../../support/servers/redis.js";

/** Ends a session as if it had not been renewed for its timeout, and has those who watch look. */
export async function endSession(port: number, prefix: string, id: string): Promise<void> {
  await askRedis(port, [], ["ZADD", `{${prefix}}:until`, "1", id]);
  await askRedis(port, [], ["PUBLISH", `{${prefix}}:changes`, "[null]"]);
}
