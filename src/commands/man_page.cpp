#include "man_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "subcommands.h"
#include "xception/core/version.h"
#include "xception/train/run_config.h"

namespace xception {
namespace {

constexpr std::size_t kFewChoices = 4;

/// As troff shows it: no escapes, hyphens that can be copied, no line that is a request.
std::string troff(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else if ((c == '.' || c == '\'') && (result.empty() || result.back() == '\n')) {
      result += std::string("\\&") + c;
    } else {
      result += c;
    }
  }
  return result;
}

std::string bold(const std::string& text) {
  return "\\fB" + troff(text) + "\\fR";
}

std::string italic(const std::string& text) {
  return "\\fI" + troff(text) + "\\fR";
}

/// What stands for an option's value: its choices, if they are few, or a name.
std::string value_text(const DeclaredOption& option) {
  if (!option.takes_value) return "";
  if (option.choices.empty() || option.choices.size() > kFewChoices) return " " + italic("VALUE");
  return " " + italic(fmt::format("{}", fmt::join(option.choices, "|")));
}

std::string sentence(std::string text) {
  if (!text.empty() && text.back() != '.') text += '.';
  return text;
}

std::string option_item(const DeclaredOption& option) {
  std::vector<std::string> names;
  for (const auto& name : option.names) {
    names.push_back(option.positional ? italic(name) : bold(name) + value_text(option));
  }
  auto text = troff(sentence(option.description));
  if (option.choices.size() > kFewChoices) {
    text += fmt::format(" One of {}.", troff(fmt::format("{}", fmt::join(option.choices, ", "))));
  }
  if (!option.default_value.empty() && !option.positional) {
    text += fmt::format(" Default: {}.", troff(option.default_value));
  }
  return fmt::format(".TP\n{}\n{}\n", fmt::join(names, ", "), text.empty() ? "\\&" : text);
}

std::string synopsis(const DeclaredCommand& command) {
  std::string line = bold("xception " + command.path) + " [" + italic("options") + "]";
  for (const auto& option : command.options) {
    if (!option.positional) continue;
    const auto word = italic(option.names.front()) + (option.many ? " ..." : "");
    line += option.required ? " " + word : " [" + word + "]";
  }
  return line;
}

std::string command_section(const DeclaredCommand& command) {
  auto text = fmt::format(".SS {}\n{}\n.PP\n{}\n", troff(command.path), synopsis(command),
                          troff(sentence(command.description)));
  for (const auto& option : command.options) {
    if (option.names.back() != "--help") text += option_item(option);
  }
  if (!command.footer.empty()) text += fmt::format(".PP\n{}\n", troff(command.footer));
  return text;
}

std::string key_item(const KeyDescription& key) {
  std::string range = key.range;
  for (std::size_t at = 0; (at = range.find('|', at)) != std::string::npos; at += 2) {
    range.replace(at, 1, ", ");
  }
  return fmt::format(".TP\n{} ({}{}{})\n{} Default: {}.\n", bold(key.key), key.type,
                     range.empty() ? "" : ": ", troff(range), troff(sentence(key.meaning)),
                     troff(key.default_value.dump()));
}

}  // namespace

std::string man_page(const std::vector<DeclaredCommand>& commands,
                     const std::vector<KeyDescription>& keys, const std::string& version) {
  auto text = fmt::format(
      ".TH XCEPTION 1 \"\" \"xception {0}\" \"User Commands\"\n.ad l\n"
      ".SH NAME\nxception \\- train, sweep, benchmark and compare image classifiers\n"
      ".SH SYNOPSIS\n{1} {2} [{3}]\n"
      ".SH DESCRIPTION\n{4}\n",
      version, bold("xception"), italic("command"), italic("options"),
      troff(sentence(commands.front().description)));
  text += ".SH COMMANDS\n";
  for (const auto& command : commands) {
    // A group of commands, such as `weights`, says nothing that they don't.
    if (!command.path.empty() && command.subcommands.empty()) text += command_section(command);
  }
  text += ".SH CONFIG\nKeys of a config file, in JSON; " + italic("section.key=value") +
          " on the command line comes after the file.\n";
  for (const auto& key : keys) text += key_item(key);
  text +=
      ".SH EXIT STATUS\n"
      ".TP\n0\nDone.\n"
      ".TP\n1\nThe run failed.\n"
      ".TP\n2\nBad usage, config or data.\n"
      ".TP\n128+n\nStopped by signal n, after saving; " +
      bold("--resume") + " goes on.\n";
  return text;
}

void add_man_command(CLI::App& program, Invocation& /*invocation*/) {
  auto* command = program.add_subcommand("man", "Print the manual page");
  command->footer("Example: xception man > xception.1; man ./xception.1");
  command->callback([&program] {
    std::fputs(man_page(declared_commands(program), config_schema(), std::string(version().version))
                   .c_str(),
               stdout);
    check_standard_output();
  });
}

}  // namespace xception
