// `holdline completion`: the script that completes command lines in a shell; and the names that such a script asks for.
import { readLabel } from "../../config/field.js";
import type { Field } from "../../config/field.js";
import { suggestion } from "../../locks/nearest.js";
import { HoldlineError } from "../../locks/errors.js";
import { quoted } from "../../locks/text.js";
import { bashScript } from "../completion/bash.js";
import { fishScript } from "../completion/fish.js";
import { grammar, NAME_KINDS } from "../completion/grammar.js";
import type { Grammar, NameKind } from "../completion/grammar.js";
import { zshScript } from "../completion/zsh.js";
import type { Command } from "../context.js";
import { readOption } from "../options.js";
import { printLines } from "../output.js";

const SCRIPTS: Readonly<Record<string, (grammar: Grammar) => string>> = { bash: bashScript, zsh: zshScript, fish: fishScript };

export const completion: Command = {
  // Whoever starts a shell with it shall not be told with every one that the configuration is wrong.
  runAlone(io, { args, options }) {
    const shell = args[0] ?? "";
    const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
    if (script === undefined) {
      throw new HoldlineError("usage", `there is no completion for the shell ${quoted(shell)}`, {
        hint: suggestion(shell, Object.keys(SCRIPTS)),
      });
    }
    if (readOption(options, "names", readAsked, null) !== null) return null;
    io.stdout.write(script(grammar()));
    return 0;
  },

  async run(context, { args: [shell], options }) {
    const asked = readOption(options, "names", readAsked, null);
    if (asked === null) throw new HoldlineError("bug", "the script needs no context");
    const { readNames } = await import("../completion/names.js");
    const names = await readNames(context, asked.kind, asked.lock);
    // Bash has no place to show more than the names.
    printLines(
      context.io,
      names.map(({ name, meaning }) => (shell === "bash" ? name : `${name}\t${meaning}`)),
    );
    return 0;
  },
};

function readAsked(field: Field): { readonly kind: NameKind; readonly lock: string | null } | undefined {
  const text = readLabel(field);
  if (text === undefined) return undefined;
  const [, name = text, lock = null] = /^(\w+)=(.*)$/s.exec(text) ?? [];
  const kind = NAME_KINDS.find((known) => known === name);
  return kind === undefined ? field.refuse(`must be one of ${NAME_KINDS.join(", ")}`) : { kind, lock };
}
