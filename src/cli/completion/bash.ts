// Makes the completion script for bash. The script compares and quotes names that others chose, and never evaluates them.
import type { Grammar, GrammarOption, Value } from "./grammar.js";

export function bashScript({ commands, options }: Grammar): string {
  const takesValue = [...options, ...commands.flatMap((command) => command.options)].filter(({ value }) => value !== null);
  const optionCases = commands.flatMap(({ name, options: own }) => own.flatMap((option) => optionCase(name, option)));
  const argumentCases = commands.flatMap(({ name, arguments: taken, isMany }) =>
    taken.map(
      (value, index) => `    '${name} '${isMany && index === taken.length - 1 ? "*" : index}) REPLY=${quoted(spell(value))} ;;`,
    ),
  );
  return `# Completion of holdline's command line for bash. To have it in this shell:
#   source <(holdline completion bash)
# and in all of them: holdline completion bash > /etc/bash_completion.d/holdline

# What an option of a command takes.
_holdline_option() {
  case "$1 $2" in
${optionCases.join("\n")}
    *) case "$2" in
${options.flatMap((option) => valueCase(option.spellings.join("|"), option)).join("\n")}
        *) REPLY= ;;
      esac ;;
  esac
}

# What the argument of a command is, counted from 0.
_holdline_argument() {
  case "$1 $2" in
${argumentCases.join("\n")}
    *) REPLY= ;;
  esac
}

_holdline_options() {
  case "$1" in
${commands.map(({ name, options: own }) => `    ${name}) REPLY=${quoted(spellings(own))} ;;`).join("\n")}
    *) REPLY= ;;
  esac
  REPLY="$REPLY ${spellings(options)}"
}

# Offers what of the lines that it reads begins as the word does.
_holdline_offer() {
  local name quoted
  while IFS= read -r name; do
    [[ $name == "$cur"* ]] || continue
    printf -v quoted %q "$name"
    COMPREPLY+=("$quoted")
  done
}

_holdline() {
  COMPREPLY=()
  local IFS=$' \\t\\n' REPLY line=\${COMP_LINE:0:COMP_POINT} cur= word= command= option= glue= rest=
  local -a words=() arguments=() globals=()
  # Split anew: readline has split names at ":" and options at "=".
  read -ra words <<<"$line"
  [[ $line == *[[:blank:]] ]] || { cur=\${words[-1]}; unset 'words[-1]'; }
  for word in "\${words[@]:1}"; do
    if [[ -n $option ]]; then
      case $option in -c | --config | --coordinator) globals+=("$option" "$word") ;; esac
      option=
    elif [[ -n $rest ]]; then
      rest+=.
    else
      case $word in
        --) rest=. ;;
        --config=* | --coordinator=*) globals+=("$word") ;;
        ${[...new Set(takesValue.flatMap((option) => option.spellings))].join(" | ")}) option=$word ;;
        -*) ;;
        *) if [[ -z $command ]]; then command=$word; else arguments+=("$word"); fi ;;
      esac
    fi
  done

  if [[ -n $rest && -z $option ]]; then
    REPLY=files
    case "$command $rest" in ${commands.flatMap(({ name, hasRest }) => (hasRest ? [`'${name} .'`] : [])).join(" | ")}) REPLY=commands ;; esac
  elif [[ -n $option ]]; then
    _holdline_option "$command" "$option"
  elif [[ $cur == --*=* ]]; then
    _holdline_option "$command" "\${cur%%=*}"
    [[ $COMP_WORDBREAKS == *=* ]] || glue=\${cur%%=*}=
    cur=\${cur#*=}
  elif [[ $cur == -* ]]; then
    _holdline_options "$command"
    REPLY="words $REPLY"
  elif [[ -z $command ]]; then
    REPLY=${quoted(`words ${commands.map(({ name }) => name).join(" ")}`)}
  else
    _holdline_argument "$command" "\${#arguments[@]}"
  fi

  case $REPLY in
    'words '*) _holdline_offer < <(printf '%s\\n' \${REPLY#words }) ;;
    'names claims') _holdline_offer < <("\${words[0]/#\\~/$HOME}" "\${globals[@]}" completion bash --names "claims\${arguments[0]:+=\${arguments[0]}}" 2>/dev/null) ;;
    'names '*) _holdline_offer < <("\${words[0]/#\\~/$HOME}" "\${globals[@]}" completion bash --names "\${REPLY#names }" 2>/dev/null) ;;
    commands) mapfile -t COMPREPLY < <(compgen -c -- "$cur") ;;
    files)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      ;;
  esac

  # Readline puts what is offered behind the last ":" of the word.
  local before=\${cur%"\${cur##*:}"}
  if [[ -n $before && $COMP_WORDBREAKS == *:* ]]; then COMPREPLY=("\${COMPREPLY[@]#"$before"}"); fi
  if [[ -n $glue ]]; then COMPREPLY=("\${COMPREPLY[@]/#/$glue}"); fi
}

complete -F _holdline holdline
`;
}

function optionCase(command: string, option: GrammarOption): string[] {
  return valueCase(option.spellings.map((spelling) => `'${command} ${spelling}'`).join("|"), option).map((line) => line.slice(4));
}

function valueCase(pattern: string, { value }: GrammarOption): string[] {
  return value === null ? [] : [`        ${pattern}) REPLY=${quoted(spell(value))} ;;`];
}

function spellings(options: readonly GrammarOption[]): string {
  return options.flatMap((option) => option.spellings).join(" ");
}

/** A value in the script's own words. */
function spell(value: Value): string {
  if (value.kind === "names") return `names ${value.names}`;
  return value.kind === "words" ? `words ${value.words.join(" ")}` : value.kind;
}

function quoted(text: string): string {
  return `'${text}'`;
}
