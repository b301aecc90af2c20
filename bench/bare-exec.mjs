// The least that a script with the bare client does for `holdline exec x -- true`: connect, create, list, run, delete, close.
import { spawnSync } from "node:child_process";
import zookeeper from "node-zookeeper-client";

const client = zookeeper.createClient(process.env.ZK, { sessionTimeout: 15_000 });
const check = (next) => (error, result) => {
  if (error) throw error;
  next(result);
};
// Until the last reply.
process.exitCode = 1;
client.once("connected", () => {
  client.mkdirp(
    "/bare/exec",
    check(() => {
      client.create(
        "/bare/exec/claim-",
        Buffer.from("bare"),
        zookeeper.CreateMode.EPHEMERAL_SEQUENTIAL,
        check((path) => {
          client.getChildren(
            "/bare/exec",
            check((queue) => {
              if (queue.length !== 1) throw new Error("somebody else is in the queue");
              spawnSync("true", { stdio: "inherit" });
              client.remove(
                path,
                check(() => {
                  process.exitCode = 0;
                  client.close();
                }),
              );
            }),
          );
        }),
      );
    }),
  );
});
client.connect();
