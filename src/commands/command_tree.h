#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace xception {

/// An option, or a word without a name, as a subcommand declares it.
struct DeclaredOption {
  std::vector<std::string> names;  ///< `--out`, `-h`; of a word without a name: `overrides`
  bool positional = false;
  bool takes_value = false;
  bool required = false;
  bool many = false;                 ///< may be given several times
  std::vector<std::string> choices;  ///< of its value; empty: any
  std::string default_value;         ///< empty: not shown
  std::string description;
};

/// A subcommand, or the program itself, as it is declared: what completion and the man page are
/// made of, so that they can't lag behind.
struct DeclaredCommand {
  std::string path;  ///< `train`, `weights diff`; empty: the program
  std::string description;
  std::string footer;  ///< an example
  std::vector<DeclaredOption> options;
  std::vector<std::string> subcommands;  ///< names, without the hidden ones

  /// Whether it takes `key=value`.
  [[nodiscard]] bool takes_overrides() const;
};

/// The program first, then its subcommands, each before its own; hidden ones are left out.
[[nodiscard]] std::vector<DeclaredCommand> declared_commands(const CLI::App& program);

/// A key of a config as completion offers it.
struct DeclaredKey {
  std::string name;                  ///< `train.epochs`
  std::vector<std::string> choices;  ///< empty: any value
};

[[nodiscard]] std::vector<DeclaredKey> declared_keys();

}  // namespace xception
