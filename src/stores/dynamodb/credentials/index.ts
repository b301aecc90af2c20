// Who this process is for AWS: the first of the places that the AWS tools look at, in their order.
import { HoldlineError } from "../../../locks/errors.js";
import { containerPlace } from "./container.js";
import { instancePlace } from "./instance.js";
import { profilePlace, readProfile } from "./profiles.js";
import { CredentialSource, type Place } from "./source.js";
import { webIdentityPlace } from "./web-identity.js";

export { CredentialSource } from "./source.js";

/** @param region where roles are assumed */
export function findCredentials(env: NodeJS.ProcessEnv, region: string): CredentialSource {
  return new CredentialSource(async () => {
    const place =
      environmentPlace(env) ??
      webIdentityPlace(env, region) ??
      (await profilePlace(env, region)) ??
      containerPlace(env) ??
      instancePlace(env);
    if (place !== null) return place;
    throw new HoldlineError("configuration", "no AWS credentials were found", {
      hint: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or have a profile in ~/.aws, a role of the container, or one of the instance",
    });
  });
}

/** The region that the environment or the profile names; `null` where none does. */
export async function findRegion(env: NodeJS.ProcessEnv): Promise<string | null> {
  return env["AWS_REGION"] || env["AWS_DEFAULT_REGION"] || (await readProfile(env))?.get("region") || null;
}

function environmentPlace(env: NodeJS.ProcessEnv): Place | null {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN: sessionToken } = env;
  if (!accessKeyId || !secretAccessKey) return null;
  const credentials = { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
  return { name: "the environment", find: () => Promise.resolve({ credentials, expiresAt: null }) };
}
