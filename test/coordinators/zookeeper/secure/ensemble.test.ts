// An ensemble whose authority is replaced while clients hold and wait: member after member restarts with a certificate of the new one
// and trusts nobody else any more, and the clients' own certificates change as well.
import { copyFileSync, readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../../src/coordinators/zookeeper/index.js";
import { makeCertificate, PEM_PROBLEM } from "../../../support/certificates.js";
import { failOnLeaks } from "../../../support/leaks.js";
import { freshRoot } from "../../../support/roots.js";
import { within } from "../../../support/wait.js";
import { canStartServers, startEnsemble } from "../../../support/zookeeper-server.js";
import { draftFor, only, RELEASED, takeDurably, TEST_OPTIONS } from "../../conformance/store.js";
import { makeSecureFiles, paramsOf } from "./certificates.js";

failOnLeaks();

const cannot = PEM_PROBLEM ?? ((await canStartServers()) ? null : "there is no local ZooKeeper to start");
if (cannot !== null) console.log(`skipped: an ensemble with TLS, because ${cannot}`);

test.skipIf(cannot !== null)("sessions outlive the renewal of every certificate, and of the authority behind them", async () => {
  const files = makeSecureFiles();
  onTestFinished(() => files.remove());
  const { directory, authority, server, client } = files;
  const ensemble = await startEnsemble({
    secure: { certificate: server, authority, clients: "need" },
    users: { bob: "s3cret" },
  });
  onTestFinished(() => ensemble.close());
  // What the clients trust, and what they show, in files of their own.
  const [former, ca] = [files.write("former.crt", readFileSync(authority.cert, "utf8")), files.write("trusted.crt", "")];
  copyFileSync(former, ca);
  const outdated = { cert: files.write("old.crt", readFileSync(client.cert, "utf8")), key: files.write("old.key", "") };
  copyFileSync(client.key, outdated.key);
  const addresses = ensemble.servers.map(({ host, securePort }) => `${host}:${securePort}`).join(",");
  const root = freshRoot();
  const urlOf = ({ cert, key }: typeof client) =>
    `zookeeper+tls://bob:s3cret@${addresses}${root}${paramsOf({ sasl: "digest-md5", ca, cert, key })}`;
  const options = { ...TEST_OPTIONS, sessionTimeoutMs: 20_000, connectTimeoutMs: 20_000 };
  const open = async () => {
    const coordinator = await openZooKeeper(urlOf(client), options);
    onTestFinished(() => coordinator.close());
    return coordinator;
  };
  const [holder, waiter] = [await open(), await open()];
  const { draft, settled } = await takeDurably(holder, "a");
  const waiting = await waiter.join(draftFor("a"));
  const departed = waiter.departed(waiting, "a", [(settled.entries[0] as { ref: string }).ref]);

  const next = makeCertificate(directory, "authority");
  files.write("trusted.crt", readFileSync(former, "utf8") + readFileSync(next.cert, "utf8"));
  makeCertificate(directory, "agent", next);
  makeCertificate(directory, "server", next);
  for (const member of ensemble.servers) await member.restart();

  expect(await within(holder.leave(draft.id, settled.entries, RELEASED), "the release", 40_000)).toBe("done");
  expect(await within(departed, "the waiter's turn", 40_000)).toHaveLength(1);
  expect((await waiter.position(only(waiting))).ahead).toEqual([]);
  expect(waiting.session.lost.aborted).toBe(false);
  await expect(openZooKeeper(urlOf(outdated), options)).rejects.toMatchObject({
    code: "not-allowed",
    message: expect.stringContaining("does not take this client's certificate") as string,
  });
});
