// The role of an instance: EC2's metadata service, version 2, which wants a token of its own before it says anything.
import { HoldlineError } from "../../../locks/errors.js";
import { ask, foundIn } from "./asking.js";
import type { Place } from "./source.js";

const WHO = "the instance's metadata service";
const ADDRESS = "http://169.254.169.254";
const ROLES = "/latest/meta-data/iam/security-credentials/";
const TOKEN_SECONDS = "21600";

export function instancePlace(env: NodeJS.ProcessEnv): Place | null {
  if (env["AWS_EC2_METADATA_DISABLED"]?.toLowerCase() === "true") return null;
  const address = env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] || ADDRESS;
  return {
    name: "the instance's role",
    find: async () => {
      const at = (path: string): URL => new URL(path, address);
      const token = await ask({
        who: WHO,
        url: at("/latest/api/token"),
        method: "PUT",
        headers: { "X-aws-ec2-metadata-token-ttl-seconds": TOKEN_SECONDS },
      });
      const headers = { "X-aws-ec2-metadata-token": token };
      const [role = ""] = (await ask({ who: WHO, url: at(ROLES), headers })).trim().split("\n");
      if (role === "") throw new HoldlineError("configuration", "the instance has no role for AWS");
      return foundIn(await ask({ who: WHO, url: at(`${ROLES}${role}`), headers }), WHO);
    },
  };
}
