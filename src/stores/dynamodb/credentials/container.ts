// The role of a container: ECS and EKS Pod Identity give its credentials at an address that they put into the environment.
import { readFile } from "node:fs/promises";
import { HoldlineError } from "../../../locks/errors.js";
import { ask, foundIn } from "./asking.js";
import type { Place } from "./source.js";

const WHO = "the container's credentials service";
const ECS = "http://169.254.170.2";

// Without TLS only these are asked, as the AWS tools do: whoever can set a variable is not to be sent the token.
const PLAIN_HOSTS = /^(?:127\.\d+\.\d+\.\d+|localhost|\[::1\]|169\.254\.170\.2|169\.254\.170\.23|\[fd00:ec2::23\])$/;

export function containerPlace(env: NodeJS.ProcessEnv): Place | null {
  const relative = env["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"];
  const full = env["AWS_CONTAINER_CREDENTIALS_FULL_URI"];
  const address = relative ? `${ECS}${relative}` : full;
  if (!address) return null;
  return {
    name: "the container's role",
    find: async () => {
      const url = URL.canParse(address) ? new URL(address) : null;
      if (url === null || !(url.protocol === "https:" || (url.protocol === "http:" && PLAIN_HOSTS.test(url.hostname)))) {
        const hint = "without TLS it has to be an address of this machine or of the container's service";
        throw new HoldlineError("configuration", "AWS_CONTAINER_CREDENTIALS_FULL_URI names no service that may be asked", { hint });
      }
      const token = await tokenIn(env);
      return foundIn(await ask({ who: WHO, url, headers: token === "" ? {} : { Authorization: token } }), WHO);
    },
  };
}

/** The file is read anew each time: it is replaced before its token expires. */
async function tokenIn(env: NodeJS.ProcessEnv): Promise<string> {
  const path = env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
  if (!path) return env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] ?? "";
  return readToken(path);
}

/** @throws HoldlineError `configuration` with the path of a file that cannot be read */
export async function readToken(path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    throw new HoldlineError("configuration", `the token for AWS cannot be read from ${path}: ${code}`, { cause: error });
  }
}
