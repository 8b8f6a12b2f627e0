#include "completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <utility>

#include "subcommands.h"
#include "xception/core/error.h"

namespace xception {
namespace {

using Commands = std::vector<DeclaredCommand>;
using Keys = std::vector<DeclaredKey>;

std::string words(const std::vector<std::string>& list) {
  return fmt::format("{}", fmt::join(list, " "));
}

/// In single quotes, as all three shells read them.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

/// The options' names of a command, and its subcommands.
std::vector<std::string> offers(const DeclaredCommand& command) {
  auto all = command.subcommands;
  for (const auto& option : command.options) {
    if (!option.positional) all.insert(all.end(), option.names.begin(), option.names.end());
  }
  return all;
}

/// The paths of all subcommands, as a `case` pattern: `"train"|"weights diff"`.
std::string paths_pattern(const Commands& commands) {
  std::vector<std::string> paths;
  for (const auto& command : commands) {
    if (!command.path.empty()) paths.push_back(fmt::format("\"{}\"", command.path));
  }
  return fmt::format("{}", fmt::join(paths, "|"));
}

/// `"train"|"bench"`: the commands that take key=value.
std::string overrides_pattern(const Commands& commands) {
  std::vector<std::string> paths;
  for (const auto& command : commands) {
    if (command.takes_overrides()) paths.push_back(fmt::format("\"{}\"", command.path));
  }
  return fmt::format("{}", fmt::join(paths, "|"));
}

std::vector<std::string> key_words(const Keys& keys) {
  std::vector<std::string> all;
  for (const auto& key : keys) all.push_back(key.name + "=");
  return all;
}

/// `case` lines of bash and zsh: `"train|--device") `, and what `offer` makes of the choices.
template <class Offer>
std::string value_cases(const Commands& commands, const Offer& offer) {
  std::string text;
  for (const auto& command : commands) {
    for (const auto& option : command.options) {
      if (option.positional || !option.takes_value) continue;
      std::vector<std::string> patterns;
      for (const auto& name : option.names) {
        patterns.push_back(fmt::format("\"{}|{}\"", command.path, name));
      }
      text +=
          fmt::format("    {}) {}; return ;;\n", fmt::join(patterns, "|"), offer(option.choices));
    }
  }
  return text;
}

/// Where the words end that name a subcommand; `name` is the shell's variable for its path.
std::string path_loop(const Commands& commands, const std::string& first, const std::string& end,
                      const std::string& list, const std::string& name) {
  return fmt::format(R"sh(  for ((i = {1}; i < {2}; i++)); do
    word="${{{4}:+${4} }}${{{3}[i]}}"
    case $word in
      {0}) {4}=$word ;;
    esac
  done
)sh",
                     paths_pattern(commands), first, end, list, name);
}

std::string bash(const Commands& commands, const Keys& keys) {
  std::string text = R"sh(# bash completion of xception: source <(xception completion bash)
_xception() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} path='' word i
  COMPREPLY=()
)sh";
  text += path_loop(commands, "1", "COMP_CWORD", "COMP_WORDS", "path");
  text += R"sh(  # Bash takes key=value for three words.
  local key=''
  if [[ $current == = ]]; then
    key=$previous current=
  elif [[ $previous == = ]]; then
    key=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $key in
    "" | -*) ;;
)sh";
  for (const auto& key : keys) {
    if (key.choices.empty()) continue;
    text += fmt::format("    {}) COMPREPLY=($(compgen -W {} -- \"$current\")); return ;;\n",
                        key.name, quoted(words(key.choices)));
  }
  text += R"sh(    *) return ;;
  esac
  case "$path|$previous" in
)sh";
  text += value_cases(commands, [](const auto& choices) {
    return choices.empty() ? std::string("COMPREPLY=($(compgen -f -- \"$current\"))")
                           : fmt::format("COMPREPLY=($(compgen -W {} -- \"$current\"))",
                                         quoted(words(choices)));
  });
  text += "  esac\n  case $path in\n";
  for (const auto& command : commands) {
    text += fmt::format("    \"{}\") COMPREPLY=($(compgen -W {} -- \"$current\")) ;;\n",
                        command.path, quoted(words(offers(command))));
  }
  text += fmt::format(R"sh(  esac
  case $path in
    {})
      if [[ $current != -* ]]; then
        COMPREPLY+=($(compgen -W {} -- "$current"))
        [[ ${{COMPREPLY[0]-}} != *= ]] || compopt -o nospace 2>/dev/null
      fi ;;
  esac
  [[ $current == -* || -z $path ]] || COMPREPLY+=($(compgen -f -- "$current"))
}}
complete -o filenames -F _xception xception
)sh",
                      overrides_pattern(commands), quoted(words(key_words(keys))));
  return text;
}

/// The lines of zsh's array `offers` for a command: `'train:Train a model'`.
std::string zsh_offers(const DeclaredCommand& command, const Commands& commands) {
  std::string text;
  const auto add = [&](const std::string& name, std::string description) {
    text += fmt::format("        {}\n", quoted(name + ":" + description));
  };
  for (const auto& name : command.subcommands) {
    const auto path = command.path.empty() ? name : command.path + " " + name;
    for (const auto& inner : commands) {
      if (inner.path == path) add(name, inner.description);
    }
  }
  for (const auto& option : command.options) {
    if (option.positional) continue;
    for (const auto& name : option.names) add(name, option.description);
  }
  return text;
}

std::string zsh(const Commands& commands, const Keys& keys) {
  std::string text = R"sh(#compdef xception
# zsh completion of xception: source <(xception completion zsh), or as _xception in a folder of $fpath
_xception() {
  local current=${words[CURRENT]} previous=${words[CURRENT - 1]} command_path='' word i
  local -a offers
)sh";
  text += path_loop(commands, "2", "CURRENT", "words", "command_path");
  text += "  case $current in\n";
  for (const auto& key : keys) {
    if (key.choices.empty()) continue;
    text +=
        fmt::format("    {0}=*) compadd -P {0}= -- {1}; return ;;\n", key.name, words(key.choices));
  }
  text += "  esac\n  case \"$command_path|$previous\" in\n";
  text += value_cases(commands, [](const auto& choices) {
    return choices.empty() ? std::string("_files") : fmt::format("compadd -- {}", words(choices));
  });
  text += "  esac\n  case $command_path in\n";
  std::vector<std::string> groups = {"''"};  // of subcommands, which are all that they take
  for (const auto& command : commands) {
    text += fmt::format("    \"{}\")\n      offers=(\n{}      ) ;;\n", command.path,
                        zsh_offers(command, commands));
    if (!command.subcommands.empty() && !command.path.empty()) groups.push_back(command.path);
  }
  text += fmt::format(R"sh(  esac
  case $command_path in
    {})
      _describe xception offers
      return ;;
  esac
  if [[ $current == -* ]]; then
    _describe xception offers
    return
  fi
  case $command_path in
    {}) compadd -S '' -- {} ;;
  esac
  _files
}}
if [[ ${{funcstack[1]-}} == _xception ]]; then _xception "$@"; else compdef _xception xception; fi
)sh",
                      fmt::join(groups, "|"), overrides_pattern(commands), words(key_words(keys)));
  return text;
}

/// The condition that fish is inside a command, and not inside one of its own.
std::string fish_condition(const DeclaredCommand& command) {
  if (command.path.empty()) return "__fish_use_subcommand";
  std::string text;
  std::string separator;
  std::string word;
  for (const char c : command.path + " ") {
    if (c != ' ') {
      word += c;
      continue;
    }
    text += fmt::format("{}__fish_seen_subcommand_from {}", separator, std::exchange(word, ""));
    separator = "; and ";
  }
  if (!command.subcommands.empty()) {
    text += "; and not __fish_seen_subcommand_from " + words(command.subcommands);
  }
  return text;
}

std::string fish(const Commands& commands, const Keys& keys) {
  std::string text =
      "# fish completion of xception: xception completion fish | source\n"
      "complete -c xception -e\n";
  for (const auto& command : commands) {
    const auto start = fmt::format("complete -c xception -n {}", quoted(fish_condition(command)));
    for (const auto& name : command.subcommands) {
      const auto path = command.path.empty() ? name : command.path + " " + name;
      for (const auto& inner : commands) {
        if (inner.path != path) continue;
        text += fmt::format("{} -f -a {} -d {}\n", start, name, quoted(inner.description));
      }
    }
    for (const auto& option : command.options) {
      if (option.positional) continue;
      text += start;
      for (const auto& name : option.names) {
        text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (option.takes_value) text += " -r";
      if (!option.choices.empty()) {
        text += fmt::format(" -f -a {}", quoted(words(option.choices)));
      }
      text += fmt::format(" -d {}\n", quoted(option.description));
    }
    if (!command.takes_overrides()) continue;
    auto offered = key_words(keys);
    for (const auto& key : keys) {
      for (const auto& choice : key.choices) offered.push_back(key.name + "=" + choice);
    }
    text += fmt::format("{} -a {}\n", start, quoted(words(offered)));
  }
  return text;
}

}  // namespace

std::string completion_script(const std::string& shell,
                              const std::vector<DeclaredCommand>& commands,
                              const std::vector<DeclaredKey>& keys) {
  if (shell == "bash") return bash(commands, keys);
  if (shell == "zsh") return zsh(commands, keys);
  if (shell == "fish") return fish(commands, keys);
  throw input_error("commands", "completion: {}: expected bash, zsh or fish", shell);
}

void add_completion_command(CLI::App& program, Invocation& /*invocation*/) {
  auto shell = std::make_shared<std::string>();
  auto* command = program.add_subcommand("completion", "Print what completes its words in a shell");
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer(
      "Example: xception completion bash > ~/.local/share/bash-completion/completions/xception");
  command->callback([shell, &program] {
    std::fputs(completion_script(*shell, declared_commands(program), declared_keys()).c_str(),
               stdout);
    check_standard_output();
  });
}

}  // namespace xception
