// Where credentials come from: each place is asked as its documentation says, by a small server of the test's own that speaks that
// protocol. None of this has met AWS itself.
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { findCredentials, findRegion } from "../../../src/stores/dynamodb/credentials/index.js";
import { freshDirectory } from "../../support/roots.js";

interface Heard {
  readonly request: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

const SECRET = "wJalrXUtnFEMI";
const KEYS = { AccessKeyId: "ASIAHOLDLINE", SecretAccessKey: SECRET, Token: "session-token" };
const FOUND = { accessKeyId: "ASIAHOLDLINE", secretAccessKey: SECRET, sessionToken: "session-token" };
const IN_AN_HOUR = (): string => new Date(Date.now() + 3_600_000).toISOString();

/** A server that answers each request by `answer`, and remembers them all. */
async function startPeer(answer: (heard: Heard) => string | number): Promise<{ readonly url: string; readonly heard: Heard[] }> {
  const heard: Heard[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.once("end", () => {
      const one = {
        request: `${request.method} ${request.url}`,
        headers: request.headers,
        body: Buffer.concat(chunks).toString("utf8"),
      };
      heard.push(one);
      const said = answer(one);
      if (typeof said === "number") response.writeHead(said);
      response.end(typeof said === "number" ? "" : said);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, heard };
}

/** An environment with files of the AWS tools, and nothing of this machine's. */
async function homeWith(files: Readonly<Record<string, string>>): Promise<NodeJS.ProcessEnv> {
  const home = await freshDirectory();
  await mkdir(join(home, ".aws"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(home, ".aws", name), text);
  return { HOME: home, AWS_EC2_METADATA_DISABLED: "true" };
}

const find = (env: NodeJS.ProcessEnv) => findCredentials(env, "eu-central-1").current();

describe("the environment", () => {
  test("comes first", async () => {
    const home = await homeWith({ credentials: "[default]\naws_access_key_id = other\naws_secret_access_key = other\n" });
    const keys = { AWS_ACCESS_KEY_ID: "AKIA1", AWS_SECRET_ACCESS_KEY: SECRET };
    expect(await find({ ...home, ...keys })).toEqual({ accessKeyId: "AKIA1", secretAccessKey: SECRET });
    expect(await find({ ...home, ...keys, AWS_SESSION_TOKEN: "t" })).toMatchObject({ sessionToken: "t" });
  });
});

describe("profiles", () => {
  const files = {
    credentials: `# mine\n[default]\naws_access_key_id=AKIADEFAULT\naws_secret_access_key = ${SECRET}\n\n[ops]\naws_access_key_id = AKIAOPS\naws_secret_access_key = ${SECRET}\naws_session_token = t\n`,
    config: "[default]\nregion = eu-west-1\n[profile ops]\nregion = us-west-2 ; far away\n[profile sso]\nsso_session = work\n",
  };

  test("are read from both files, the default one or the one that is named", async () => {
    const env = await homeWith(files);
    expect(await find(env)).toEqual({ accessKeyId: "AKIADEFAULT", secretAccessKey: SECRET });
    expect(await find({ ...env, AWS_PROFILE: "ops" })).toEqual({
      accessKeyId: "AKIAOPS",
      secretAccessKey: SECRET,
      sessionToken: "t",
    });
    expect(await findRegion(env)).toBe("eu-west-1");
    expect(await findRegion({ ...env, AWS_PROFILE: "ops" })).toBe("us-west-2");
    expect(await findRegion({ ...env, AWS_REGION: "eu-north-1" })).toBe("eu-north-1");
  });

  test("may be in other files", async () => {
    const env = await homeWith({ others: "[default]\naws_access_key_id = AKIAELSE\naws_secret_access_key = x\n" });
    const path = join(env["HOME"] as string, ".aws/others");
    expect(await find({ ...env, AWS_SHARED_CREDENTIALS_FILE: path })).toMatchObject({ accessKeyId: "AKIAELSE" });
  });

  test("that are not there, or have credentials in other ways, are named", async () => {
    const env = await homeWith(files);
    await expect(find({ ...env, AWS_PROFILE: "nobody" })).rejects.toThrow("there is no AWS profile nobody");
    await expect(find({ ...env, AWS_PROFILE: "sso" })).rejects.toThrow("the AWS profile sso has its credentials by sso_session");
    await expect(find(await homeWith({}))).rejects.toThrow("no AWS credentials were found");
  });
});

describe("a container's role", () => {
  test("is asked with the token in the file, which is read anew, before it expires", async () => {
    let expiration = new Date(Date.now() + 60_000).toISOString();
    const peer = await startPeer(() => JSON.stringify({ ...KEYS, Expiration: expiration }));
    const env = await homeWith({ token: "first\n" });
    const path = join(env["HOME"] as string, ".aws/token");
    const source = findCredentials(
      { ...env, AWS_CONTAINER_CREDENTIALS_FULL_URI: `${peer.url}/role`, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: path },
      "eu-central-1",
    );
    expect(await source.current()).toEqual(FOUND);
    await writeFile(path, "second\n");
    expiration = IN_AN_HOUR();
    // Those of before end in a minute: new ones are had, once, and kept for the hour that they have.
    await Promise.all([source.current(), source.current()]);
    expect(await source.current()).toEqual(FOUND);
    expect(peer.heard.map(({ request, headers }) => [request, headers.authorization])).toEqual([
      ["GET /role", "first"],
      ["GET /role", "second"],
    ]);
    source.forget();
    await source.current();
    expect(peer.heard).toHaveLength(3);
  });

  test("is kept while it lasts when nobody answers", async () => {
    let answers: string | number = JSON.stringify({ ...KEYS, Expiration: new Date(Date.now() + 60_000).toISOString() });
    const peer = await startPeer(() => answers);
    const source = findCredentials({ ...(await homeWith({})), AWS_CONTAINER_CREDENTIALS_FULL_URI: peer.url }, "eu-central-1");
    await source.current();
    answers = 503;
    expect(await source.current()).toEqual(FOUND);
    // Asked twice, as of all that may pass.
    expect(peer.heard).toHaveLength(3);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 120_000 });
    onTestFinished(() => void vi.useRealTimers());
    await expect(source.current()).rejects.toThrow("the container's credentials service gives no credentials at the moment");
  });

  test("is never asked without TLS elsewhere than on this machine", async () => {
    const env = { ...(await homeWith({})), AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://203.0.113.7/role" };
    await expect(find(env)).rejects.toThrow("names no service that may be asked");
  });
});

describe("a web identity", () => {
  const xml = (expiration: string): string =>
    `<R><Credentials><AccessKeyId>ASIAHOLDLINE</AccessKeyId><SecretAccessKey>${SECRET}</SecretAccessKey>` +
    `<SessionToken>session-token</SessionToken><Expiration>${expiration}</Expiration></Credentials></R>`;

  test("gives a role for the token, in the environment's words or a profile's", async () => {
    const peer = await startPeer(() => xml(IN_AN_HOUR()));
    const env = await homeWith({ token: "jwt" });
    const tokenFile = join(env["HOME"] as string, ".aws/token");
    const role = "arn:aws:iam::1:role/locks";
    const sts = { AWS_ENDPOINT_URL_STS: peer.url };
    expect(await find({ ...env, ...sts, AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile, AWS_ROLE_ARN: role })).toEqual(FOUND);
    await writeFile(
      join(env["HOME"] as string, ".aws/config"),
      `[default]\nrole_arn = ${role}\nweb_identity_token_file = ${tokenFile}\n`,
    );
    expect(await find({ ...env, ...sts })).toEqual(FOUND);
    for (const { request, body } of peer.heard) {
      // The token stands in the body, which nobody logs.
      expect(request).toBe("POST /");
      const asked = Object.fromEntries(new URLSearchParams(body));
      expect(asked).toMatchObject({ Action: "AssumeRoleWithWebIdentity", RoleArn: role, WebIdentityToken: "jwt" });
    }
    expect(peer.heard).toHaveLength(2);
  });

  test("that is refused says why, and nothing secret", async () => {
    const peer = await startPeer(() => 403);
    const env = await homeWith({ token: "very-secret-jwt" });
    const asked = find({
      ...env,
      AWS_ENDPOINT_URL_STS: peer.url,
      AWS_WEB_IDENTITY_TOKEN_FILE: join(env["HOME"] as string, ".aws/token"),
      AWS_ROLE_ARN: "arn:aws:iam::1:role/locks",
    });
    await expect(asked).rejects.toMatchObject({ code: "not-allowed", message: "AWS STS gives no credentials: it says 403" });
  });
});

describe("an instance's role", () => {
  test("is asked by version 2 of the service: a token first, which goes with each question", async () => {
    const peer = await startPeer(({ request }) => {
      if (request === "PUT /latest/api/token") return "imds-token";
      if (request.endsWith("/security-credentials/")) return "locks-role";
      return JSON.stringify({ Code: "Success", ...KEYS, Expiration: IN_AN_HOUR() });
    });
    const env = { HOME: await freshDirectory(), AWS_EC2_METADATA_SERVICE_ENDPOINT: peer.url };
    expect(await find(env)).toEqual(FOUND);
    expect(peer.heard.map(({ request, headers }) => [request, headers["x-aws-ec2-metadata-token"]])).toEqual([
      ["PUT /latest/api/token", undefined],
      ["GET /latest/meta-data/iam/security-credentials/", "imds-token"],
      ["GET /latest/meta-data/iam/security-credentials/locks-role", "imds-token"],
    ]);
  });

  test("that is not there is told in time", async () => {
    const peer = await startPeer(() => 404);
    const env = { HOME: await freshDirectory(), AWS_EC2_METADATA_SERVICE_ENDPOINT: peer.url };
    await expect(find(env)).rejects.toThrow("the instance's metadata service gives no credentials: it says 404");
  });
});
