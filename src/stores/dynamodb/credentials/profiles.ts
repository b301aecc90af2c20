// The AWS tools' files: profiles with keys, or with a role for the token in a file.
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { HoldlineError } from "../../../locks/errors.js";
import type { Found, Place } from "./source.js";
import { assumedRole } from "./web-identity.js";

/** A profile's settings, from both files. */
export type Profile = ReadonlyMap<string, string>;

// Ways to get credentials that are the AWS tools' own.
const OTHER_WAYS = ["credential_process", "sso_session", "sso_start_url", "source_profile", "credential_source"];

/** @returns the profile that the environment names, or the default one; `null` where it is in neither file */
export async function readProfile(env: NodeJS.ProcessEnv): Promise<Profile | null> {
  const name = profileName(env);
  const [shared, config] = await Promise.all([
    readSections(env["AWS_SHARED_CREDENTIALS_FILE"] || join(homeOf(env), ".aws/credentials")),
    readSections(env["AWS_CONFIG_FILE"] || join(homeOf(env), ".aws/config")),
  ]);
  const found = [config.get(name === "default" ? name : `profile ${name}`), shared.get(name)].filter((one) => one !== undefined);
  return found.length === 0 ? null : new Map(found.flatMap((section) => [...section]));
}

/** `null` where there is no profile, or one that only says other things; an error where one was asked for by its name. */
export async function profilePlace(env: NodeJS.ProcessEnv, region: string): Promise<Place | null> {
  const name = profileName(env);
  const isNamed = Boolean(env["AWS_PROFILE"]);
  const profile = await readProfile(env);
  if (profile === null && isNamed) {
    throw new HoldlineError("configuration", `there is no AWS profile ${name}`, {
      hint: "look at AWS_PROFILE, ~/.aws/credentials and ~/.aws/config",
    });
  }
  if (profile === null) return null;
  const role = profile.get("role_arn");
  const tokenFile = profile.get("web_identity_token_file");
  if (role !== undefined && tokenFile !== undefined) {
    const session = profile.get("role_session_name");
    return { name: `the AWS profile ${name}`, find: () => assumedRole({ role, tokenFile, session }, env, region) };
  }
  if (profile.has("aws_access_key_id")) return { name: `the AWS profile ${name}`, find: () => keysOf(env, name) };
  const other = OTHER_WAYS.find((way) => profile.has(way));
  if (other === undefined && !isNamed) return null;
  const what = other === undefined ? "has no credentials" : `has its credentials by ${other}, which Holdline does not know`;
  throw new HoldlineError("configuration", `the AWS profile ${name} ${what}`, {
    hint: "name a profile with keys, or with role_arn and web_identity_token_file; `aws configure export-credentials` gives keys of any",
  });
}

/** Read anew each time: somebody may have put others there. */
async function keysOf(env: NodeJS.ProcessEnv, name: string): Promise<Found> {
  const profile = await readProfile(env);
  const [accessKeyId, secretAccessKey, sessionToken] = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"].map(
    (key) => profile?.get(key),
  );
  if (!accessKeyId || !secretAccessKey)
    throw new HoldlineError("configuration", `the AWS profile ${name} has no aws_access_key_id with an aws_secret_access_key`);
  return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) }, expiresAt: null };
}

function profileName(env: NodeJS.ProcessEnv): string {
  return env["AWS_PROFILE"] || "default";
}

function homeOf(env: NodeJS.ProcessEnv): string {
  return env["HOME"] || homedir();
}

/** `[section]` and `name = value`; what is indented below a name belongs to it and is nothing that is asked for here. */
async function readSections(path: string): Promise<ReadonlyMap<string, Profile>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return new Map();
    throw new HoldlineError("configuration", `the AWS tools' file ${path} cannot be read: ${code}`, { cause: error });
  }
  const sections = new Map<string, Map<string, string>>();
  let section = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, heading] = /^\s*\[\s*([^\]]*?)\s*\]/.exec(line) ?? [];
    const [, key, value] = /^([^\s=#;][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (heading !== undefined) {
      section = sections.get(heading) ?? new Map<string, string>();
      sections.set(heading.replace(/\s+/g, " "), section);
    } else if (key !== undefined && value !== undefined) section.set(key.toLowerCase(), value.replace(/\s[#;].*$/, ""));
  }
  return sections;
}
