// `holdline completion`: the script that completes command lines in a shell; and the names that such a script asks for.
import { readLabel } from "../../config/field.js";
import type { Field } from "../../config/field.js";
import { suggestion } from "../../locks/nearest.js";
import { HoldlineError } from "../../locks/errors.js";
import { quoted } from "../../locks/text.js";
import { bashScript } from "../completion/bash.js";
import { fishScript } from "../completion/fish.js";
import { grammarOf, NAME_KINDS } from "../completion/grammar.js";
import type { Grammar, NameKind } from "../completion/grammar.js";
import { zshScript } from "../completion/zsh.js";
import type { Command, CommandTable } from "../command.js";
import { readOption } from "../options.js";
import { printLines } from "../output.js";

const SCRIPTS: Readonly<Record<string, (grammar: Grammar) => string>> = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** @param table the commands that the script completes */
export function completionOf(table: CommandTable): Command {
  return {
    // A shell that starts with the script must not complain each time that the configuration is wrong.
    runAlone(io, { args: [shell = ""], options }) {
      const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
      if (script === undefined) {
        throw new HoldlineError("usage", `there is no completion for the shell ${quoted(shell)}`, {
          hint: suggestion(shell, Object.keys(SCRIPTS)),
        });
      }
      if (readOption(options, "names", readAsked, null) !== null) return null;
      io.stdout.write(script(grammarOf(table)));
      return 0;
    },

    async run(context, { args: [shell], options }) {
      const asked = readOption(options, "names", readAsked, null);
      if (asked === null) throw new HoldlineError("bug", "the script needs no context");
      const { readNames } = await import("../completion/names.js");
      const names = await readNames(context, asked.kind, asked.lock);
      // Bash can show nothing beside the names.
      printLines(
        context.io,
        names.map(({ name, meaning }) => (shell === "bash" ? name : `${name}\t${meaning}`)),
      );
      return 0;
    },
  };
}

function readAsked(field: Field): { readonly kind: NameKind; readonly lock: string | null } | undefined {
  const text = readLabel(field);
  if (text === undefined) return undefined;
  const [, name = text, lock = null] = /^(\w+)=(.*)$/s.exec(text) ?? [];
  const kind = NAME_KINDS.find((known) => known === name);
  return kind === undefined ? field.refuse(`must be one of ${NAME_KINDS.join(", ")}`) : { kind, lock };
}
