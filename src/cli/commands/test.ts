// `holdline test`: says by its exit code whether a host is locked, for scripts.
import { readChoice } from "../../config/field.js";
import type { Field } from "../../config/field.js";
import { HOST_LOCK_TYPES, knownAs, knownHosts, parseHost } from "../../leases/hosts.js";
import type { HostLockType } from "../../leases/hosts.js";
import type { Command } from "../command.js";
import { EXIT_NOTHING_THERE } from "../exit-codes.js";
import { isClaimId } from "../../locks/ids.js";
import { hostLock } from "../../locks/names.js";
import { warnOfOtherName } from "../hosts.js";
import { readOption } from "../options.js";
import { printDocument } from "../output.js";
import { typesOf } from "../../views/lock.js";
import { readLocks } from "../../views/queues.js";

export const test: Command = {
  async run(context, { args, options }) {
    const { node, dependencies } = context.settings;
    const host = knownAs(parseHost(args[0] ?? ""), knownHosts(node, dependencies));
    const wanted = readOption<readonly string[], null>(options, "type", readTypes, null);
    const seen = await readLocks(context, hostLock(host), context.stop.signal);
    const types = typesOf(seen.flatMap(({ holders }) => holders)).filter((type) => wanted === null || wanted.includes(type));
    const locked = types.length > 0;
    if (context.json) printDocument(context.io, { locked, types });
    if (!locked) await warnOfOtherName(context, host);
    // A host may have such a name, but usually somebody mistook an id for one.
    if (!locked && isClaimId(host))
      context.log.warn({ host }, `no host called ${host} is locked: test takes a host's name, not an id`);
    return locked ? 0 : EXIT_NOTHING_THERE;
  },
};

function readTypes(field: Field): readonly HostLockType[] | undefined {
  const types = (field.value as readonly string[]).map((value) => readChoice({ ...field, value }, HOST_LOCK_TYPES));
  return types.includes(undefined) ? undefined : (types as readonly HostLockType[]);
}
