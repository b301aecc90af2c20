// Makes the completion script for fish: a line for everything that can be completed, and functions that know where the cursor
// stands.
import type { Grammar, GrammarOption, Value } from "./grammar.js";

export function fishScript({ commands, options }: Grammar): string {
  const takesValue = [...options, ...commands.flatMap((command) => command.options)].filter(({ value }) => value !== null);
  const lines = commands.flatMap(({ name, options: own, arguments: taken, isMany, hasRest }) => [
    ...own.flatMap((option) => optionLines(`__holdline_in ${name}`, option)),
    ...taken.map((value, index) => {
      const where = isMany && index === taken.length - 1 ? "-1" : String(index);
      return `complete -c holdline -n '__holdline_argument ${name} ${where}'${offer(value)}`;
    }),
    ...(hasRest ? [`complete -c holdline -n '__holdline_rest ${name}' -F -a '(__fish_complete_command)'`] : []),
  ]);
  return `# Completion of holdline's command line for fish. To have it in all shells:
#   holdline completion fish > ~/.config/fish/completions/holdline.fish

# What stands before the cursor: the program with its options for which store, the command, its arguments, and whether
# there was a "--". One a line, so that a caller can take what it needs.
function __holdline_parse -a wanted
    set -l words (commandline -opc)
    set -l program $words[1]
    set -l globals
    set -l arguments
    set -l option ''
    set -l rest 0
    for word in $words[2..-1]
        if test -n "$option"
            contains -- $option -c --config --coordinator; and set -a globals $option $word
            set option ''
            continue
        end
        test $rest = 1; and continue
        switch $word
            case --
                set rest 1
            case '--config=*' '--coordinator=*'
                set -a globals $word
            case ${[...new Set(takesValue.flatMap((option) => option.spellings))].join(" ")}
                set option $word
            case '-*'
            case '*'
                set -a arguments $word
        end
    end
    switch $wanted
        case program
            printf '%s\\n' $program $globals
        case arguments
            test $rest = 0; and printf '%s\\n' $arguments
        case rest
            test $rest = 1; and printf '%s\\n' $arguments[1]
    end
end

function __holdline_in -a name
    set -l arguments (__holdline_parse arguments)
    test "$arguments[1]" = $name
end

function __holdline_no_command
    set -l arguments (__holdline_parse arguments)
    test -z "$arguments[1]"; and not contains -- -- (commandline -opc)
end

# Is the argument with this number next, counted from 0? With -1 any.
function __holdline_argument -a name number
    set -l arguments (__holdline_parse arguments)
    test "$arguments[1]" = $name; or return 1
    test $number = -1; or test (count $arguments) = (math $number + 1)
end

function __holdline_rest -a name
    set -l command (__holdline_parse rest)
    test "$command" = $name
end

function __holdline_names -a kind
    set -l program (__holdline_parse program)
    set -l arguments (__holdline_parse arguments)
    if test $kind = claims -a (count $arguments) -gt 1
        set kind claims=$arguments[2]
    end
    command $program completion fish --names $kind 2>/dev/null
end

complete -c holdline -f
${options.flatMap((option) => optionLines(null, option)).join("\n")}
${commands.map(({ name, doc }) => `complete -c holdline -n __holdline_no_command -a ${quoted(name)} -d ${quoted(doc)}`).join("\n")}
${lines.join("\n")}
`;
}

function optionLines(condition: string | null, { spellings, doc, value }: GrammarOption): string[] {
  const names = spellings.map((spelling) => (spelling.startsWith("--") ? `-l ${spelling.slice(2)}` : `-s ${spelling.slice(1)}`));
  const when = condition === null ? "" : ` -n ${quoted(condition)}`;
  const what = value === null ? "" : value.kind === "files" ? " -r -F" : ` -x${offer(value)}`;
  return [`complete -c holdline${when} ${names.join(" ")}${what} -d ${quoted(doc)}`];
}

function offer(value: Value): string {
  switch (value.kind) {
    case "names":
      return ` -a '(__holdline_names ${value.names})'`;
    case "words":
      return ` -a ${quoted(value.words.join(" "))}`;
    case "files":
      return " -F";
    case "text":
      return "";
  }
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
