// `holdline deps`: lists the hosts that `lock` would lock together with a host. Asks the map and no store.
import { dependenciesOf } from "../../leases/dependencies.js";
import { knownAs, knownHosts, parseHost } from "../../leases/hosts.js";
import type { Command } from "../command.js";
import { dependenciesInForce } from "../hosts.js";
import { printDocument, printLines } from "../output.js";
import { sanitize } from "../render.js";

export const deps: Command = {
  async run({ settings, json, io }, { args, options }) {
    const map = await dependenciesInForce(options, settings);
    const host = knownAs(parseHost(args[0] ?? ""), knownHosts(settings.node, map));
    const dependencies = dependenciesOf(host, map);
    if (json) printDocument(io, { host, dependencies });
    else printLines(io, dependencies.map(sanitize));
    return 0;
  },
};
