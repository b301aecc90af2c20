// Makes the completion script for zsh: like bash's, but with a description of each command, option and name.
import { shellQuoted } from "../shell-word.js";
import type { Grammar, GrammarOption, Value } from "./grammar.js";

export function zshScript({ commands, options }: Grammar): string {
  const takesValue = [...options, ...commands.flatMap((command) => command.options)].filter(({ value }) => value !== null);
  const described = (of: readonly GrammarOption[]) =>
    of.flatMap(({ spellings, doc }) => spellings.map((spelling) => pair(spelling, doc))).join(" ");
  const optionCases = commands.flatMap(({ name, options: own }) =>
    own.flatMap(({ spellings, value }) =>
      value === null
        ? []
        : [`    (${spellings.map((spelling) => shellQuoted(`${name} ${spelling}`)).join("|")}) ${offer(value)} ;;`],
    ),
  );
  const generalCases = options.flatMap(({ spellings, value }) =>
    value === null ? [] : [`        (${spellings.join("|")}) ${offer(value)} ;;`],
  );
  const argumentCases = commands.flatMap(({ name, arguments: taken, isMany }) =>
    taken.map(
      (value, index) => `    (${shellQuoted(`${name} `)}${isMany && index === taken.length - 1 ? "*" : index}) ${offer(value)} ;;`,
    ),
  );
  return `#compdef holdline
# Completion of holdline's command line for zsh. To have it in this shell, after compinit:
#   source <(holdline completion zsh)
# and in all of them: holdline completion zsh > a folder of $fpath/_holdline

# Offers pairs of a word and what it means.
_holdline_words() {
  local -a values shown
  local value meaning
  for value meaning in "$@"; do
    values+=("$value")
    shown+=("$value\${meaning:+  -- $meaning}")
  done
  compadd -l -d shown -a -- values
}

# Offers the names that holdline knows.
_holdline_names() {
  local -a values shown
  local value meaning
  local -a asked=("$program" "\${globals[@]}" completion zsh --names "$1\${2:+=$2}")
  while IFS=$'\\t' read -r value meaning; do
    values+=("$value")
    shown+=("$value\${meaning:+  -- $meaning}")
  done < <("\${asked[@]}" 2>/dev/null)
  compadd -l -d shown -a -- values
}

_holdline_option() {
  case "$1 $2" in
${optionCases.join("\n")}
    (*) case "$2" in
${generalCases.join("\n")}
      esac ;;
  esac
}

_holdline_argument() {
  case "$1 $2" in
${argumentCases.join("\n")}
  esac
}

_holdline() {
  local program=\${(Q)words[1]} command='' option='' word
  local -a arguments globals
  local -i index after=0
  program=\${program/#\\~/$HOME}
  for (( index = 2; index < CURRENT; index++ )); do
    word=\${(Q)words[index]}
    if [[ -n $option ]]; then
      case $option in (-c|--config|--coordinator) globals+=("$option" "$word") ;; esac
      option=''
    elif (( after > 0 )); then
      (( after++ ))
    else
      case $word in
        (--) after=1 ;;
        (--config=*|--coordinator=*) globals+=("$word") ;;
        (${[...new Set(takesValue.flatMap((option) => option.spellings))].join("|")}) option=$word ;;
        (-*) ;;
        (*) if [[ -z $command ]]; then command=$word; else arguments+=("$word"); fi ;;
      esac
    fi
  done

  word=\${(Q)PREFIX}
  if [[ -n $option ]]; then
    _holdline_option "$command" "$option"
  elif (( after > 0 )); then
    if [[ $after == 1 && ${commands.flatMap(({ name, hasRest }) => (hasRest ? [`$command == ${name}`] : [])).join(" || ")} ]]; then _command_names -e; else _files; fi
  elif [[ $word == --*=* ]]; then
    compset -P '*='
    _holdline_option "$command" "\${word%%=*}"
  elif [[ $word == -* ]]; then
    case $command in
${commands.flatMap(({ name, options: own }) => (own.length === 0 ? [] : [`      (${name}) _holdline_words ${described(own)} ;;`])).join("\n")}
    esac
    _holdline_words ${described(options)}
  elif [[ -z $command ]]; then
    _holdline_words ${commands.map(({ name, doc }) => pair(name, doc)).join(" ")}
  else
    _holdline_argument "$command" "\${#arguments[@]}"
  fi
}

if [[ "\${funcstack[1]}" == _holdline ]]; then _holdline "$@"; else compdef _holdline holdline; fi
`;
}

function offer(value: Value): string {
  switch (value.kind) {
    case "names":
      return value.names === "claims" ? `_holdline_names claims "\${arguments[1]}"` : `_holdline_names ${value.names}`;
    case "words":
      return `_holdline_words ${value.words.map((word) => pair(word, "")).join(" ")}`;
    case "files":
      return "_files";
    case "text":
      return ":";
  }
}

function pair(word: string, meaning: string): string {
  return `${shellQuoted(word)} ${shellQuoted(meaning)}`;
}
