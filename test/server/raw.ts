// Requests as bytes on a connection, and answers as they came: what fetch neither sends nor shows.
import { connect } from "node:net";
import { buffer } from "node:stream/consumers";

/** Sends a request as it is, and gives the whole answer. @param head lines, without `Host`, `Connection` and `Content-Length` */
export async function askRaw(url: string, head: readonly string[], body: string | Buffer = ""): Promise<string> {
  const { hostname, port, host } = new URL(url);
  const socket = connect(Number(port), hostname);
  const lines = [...head, `Host: ${host}`, "Connection: close", `Content-Length: ${Buffer.byteLength(body)}`];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  socket.write(body);
  return (await buffer(socket)).toString("utf8");
}
