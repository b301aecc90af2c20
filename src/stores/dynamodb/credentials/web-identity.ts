// A role for a token: Kubernetes or a CI system writes a token to a file, and STS in the region gives credentials of a role for it.
import { ask, foundOf } from "./asking.js";
import { readToken } from "./container.js";
import type { Found, Place } from "./source.js";

const WHO = "AWS STS";

export interface WebIdentity {
  readonly role: string;
  readonly tokenFile: string;
  /** What the session is called in AWS's logs. */
  readonly session: string | undefined;
}

export function webIdentityPlace(env: NodeJS.ProcessEnv, region: string): Place | null {
  const { AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile, AWS_ROLE_ARN: role, AWS_ROLE_SESSION_NAME: session } = env;
  if (!tokenFile || !role) return null;
  return { name: "a web identity", find: () => assumedRole({ role, tokenFile, session }, env, region) };
}

export async function assumedRole(
  { role, tokenFile, session }: WebIdentity,
  env: NodeJS.ProcessEnv,
  region: string,
): Promise<Found> {
  const domain = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  const url = new URL(env["AWS_ENDPOINT_URL_STS"] || `https://sts.${region}.${domain}/`);
  const body = new URLSearchParams({
    Action: "AssumeRoleWithWebIdentity",
    Version: "2011-06-15",
    RoleArn: role,
    RoleSessionName: session || "holdline",
    WebIdentityToken: await readToken(tokenFile),
  });
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  const text = await ask({
    who: WHO,
    url,
    method: "POST",
    headers,
    body: body.toString(),
    why: (answer) => partOf(answer, "Code"),
  });
  return foundOf(
    {
      accessKeyId: partOf(text, "AccessKeyId"),
      secretAccessKey: partOf(text, "SecretAccessKey"),
      sessionToken: partOf(text, "SessionToken"),
      expiration: partOf(text, "Expiration"),
    },
    WHO,
  );
}

/** STS answers in XML, whose values here have nothing that is written otherwise in it. */
function partOf(xml: string, name: string): string {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1]?.trim() ?? "";
}
