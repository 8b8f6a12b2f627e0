#include "xception/commands/program.h"

#include <fcntl.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <regex>
#include <string>
#include <system_error>
#include <vector>

#include "subcommands.h"
#include "xception/config/keys.h"
#include "xception/core/device_fault.h"
#include "xception/core/error.h"
#include "xception/core/first_line.h"
#include "xception/core/log.h"
#include "xception/core/memory.h"
#include "xception/core/version.h"
#include "xception/parallel/device.h"
#include "xception/parallel/rank_info.h"
#include "xception/train/environment.h"
#include "xception/train/run_config.h"

namespace xception {
namespace {

constexpr int kUsage = 2;

/// Opens what is closed of standard input, output and error: a file of the run would take its
/// number and get the lines that are meant for it.
void open_standard_descriptors() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR);
  }
}

int fail(const std::string& message, int code) {
  print_error(message);
  return code;
}

/// What is wrong with the word that stands where a subcommand is expected; empty if nothing is.
std::string unknown_subcommand(const CLI::App& program, int argc, const char* const* argv) {
  const CLI::App* command = &program;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto commands = command->get_subcommands([](const CLI::App*) { return true; });
    if (word.starts_with('-') || commands.empty()) return "";
    if (command->get_require_subcommand_min() == 0) return "";  // takes other words too
    std::vector<std::string> names;
    for (const auto* candidate : commands) {
      if (!candidate->get_group().empty()) names.push_back(candidate->get_name());  // not hidden
    }
    const auto found = std::find_if(commands.begin(), commands.end(),
                                    [&](const CLI::App* item) { return item->get_name() == word; });
    if (found == commands.end()) {
      const auto near = nearest_name(word, names);
      return fmt::format("{}: unknown subcommand; expected one of {}{}", word,
                         fmt::join(names, ", "),
                         near.empty() ? "" : fmt::format("; did you mean {}?", near));
    }
    command = *found;
  }
  return "";
}

/// The subcommand that the words mean, as far as they do.
const CLI::App& meant_command(const CLI::App& program, int argc, const char* const* argv) {
  const CLI::App* command = &program;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto inner =
        command->get_subcommands([&](const CLI::App* item) { return item->get_name() == word; });
    if (inner.empty()) break;
    command = inner.front();
  }
  return *command;
}

/// `train`, `weights diff`; empty for the program itself.
std::string path_of(const CLI::App& command) {
  const auto* parent = command.get_parent();
  if (parent == nullptr) return "";
  const auto path = path_of(*parent);
  return path.empty() ? command.get_name() : path + " " + command.get_name();
}

/// `--batch-size` is another program's way to say train.batch_size=64: what to write; empty where
/// the command takes no keys, or none is called so.
std::string key_like(const std::string& word, const CLI::App& command) {
  if (command.get_option_no_throw("overrides") == nullptr) return "";
  auto name = word.substr(2);
  std::replace(name.begin(), name.end(), '-', '_');
  for (const auto& key : config_schema()) {
    const auto dot = key.key.find('.');
    if (name != key.key && (dot == std::string::npos || name != key.key.substr(dot + 1))) continue;
    return fmt::format("it is a key of the config: write {}=VALUE; ", key.key);
  }
  return "";
}

/// What is wrong with the first option that the command doesn't have; empty if it has them all.
std::string unknown_option(const CLI::App& program, int argc, const char* const* argv) {
  const auto& command = meant_command(program, argc, argv);
  std::vector<std::string> names;
  for (const auto* option : command.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word == "--") break;
    word = word.substr(0, word.find('='));
    if (!word.starts_with("--") || command.get_option_no_throw(word) != nullptr) continue;
    const auto path = path_of(command);
    auto hint = key_like(word, command);
    if (const auto near = nearest_name(word, names); hint.empty() && !near.empty()) {
      hint = fmt::format("did you mean {}? ", near);
    }
    return fmt::format("{}: unknown option{}; {}see xception {}--help", word,
                       path.empty() ? "" : " of " + path, hint, path.empty() ? "" : path + " ");
  }
  return "";
}

void add_subcommands(CLI::App& program, Invocation& invocation) {
  add_train_command(program, invocation);
  add_sweep_command(program, invocation);
  add_report_command(program, invocation);
  add_bench_command(program, invocation);
  add_eval_command(program, invocation);
  add_predict_command(program, invocation);
  add_export_command(program, invocation);
  add_recipes_command(program, invocation);
  add_models_command(program, invocation);
  add_weights_command(program, invocation);
  add_data_command(program, invocation);
  add_doctor_command(program, invocation);
  add_config_command(program, invocation);
  add_completion_command(program, invocation);
  add_man_command(program, invocation);
  // For the launcher of ranks, which must not start CUDA itself; not in the help.
  program.add_subcommand("count-gpus")->group("")->callback([] {
    std::printf("%lld\n", static_cast<long long>(cuda_device_count()));
  });
}

/// Before the first character of a word, it keeps CLI11 from taking `[a,b]` for a list.
constexpr char kLiteral = '\x01';

bool looks_like_list(std::string_view word) {
  const auto first = word.find_first_not_of(kLiteral);
  return first != std::string_view::npos && word[first] == '[';
}

/// The words in the order that App::parse wants, the last one first.
std::vector<std::string> words_to_parse(int argc, const char* const* argv) {
  std::vector<std::string> words;
  for (int i = argc - 1; i > 0; --i) {
    words.emplace_back(argv[i]);
    if (looks_like_list(words.back())) words.back().insert(0, 1, kLiteral);
  }
  return words;
}

/// Has every option, of subcommands too, take words as they were given.
void take_words_literally(CLI::App& command) {
  for (auto* option : command.get_options()) {
    option->transform([](std::string word) {
      if (word.starts_with(kLiteral) && looks_like_list(word)) word.erase(0, 1);
      return word;
    });
  }
  for (auto* inner : command.get_subcommands([](const CLI::App*) { return true; })) {
    take_words_literally(*inner);
  }
}

/// A message about words, without the marks.
std::string readable(std::string text) {
  for (std::size_t at = 0; (at = text.find(std::string{kLiteral, '['}, at)) != text.npos;) {
    text.erase(at, 1);
  }
  return text;
}

std::string version_text() {
  const auto build = version();
  return fmt::format("xception {} ({})\n{}\n{}, {}", build.version, build.git_commit,
                     library_line(), build.compiler, build.build_type);
}

int parse_and_run(CLI::App& program, Invocation& invocation, int argc, const char* const* argv) {
  try {
    program.parse(words_to_parse(argc, argv));
    return invocation.exit_code;
  } catch (const CLI::Success& success) {
    const int code = program.exit(success);
    std::cout.flush();
    return code;
  } catch (const CLI::ParseError& error) {
    const auto problem = unknown_subcommand(program, argc, argv);
    if (!problem.empty()) return fail(problem, kUsage);
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr ||
        dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
      const auto option = unknown_option(program, argc, argv);
      if (!option.empty()) return fail(option, kUsage);
    }
    // CLI11 says "--out: At Most 1 required but received 2".
    static const std::regex twice("(.*): At Most 1 required but received [0-9]+");
    std::smatch found;
    const auto line = readable(first_line(error.what()));
    if (std::regex_match(line, found, twice)) {
      return fail(fmt::format("{} is given more than once; keep one", found.str(1)), kUsage);
    }
    const auto path = path_of(meant_command(program, argc, argv));
    return fail(fmt::format("{}; see xception {}--help", line, path.empty() ? "" : path + " "),
                kUsage);
  }
}

}  // namespace

void print_json(const nlohmann::ordered_json& json) {
  const auto text = json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  std::printf("%s\n", text.c_str());
  check_standard_output();
}

void check_standard_output() {
  // A failed write leaves its mark on the stream; what the system said then is known only if it
  // says it again.
  errno = 0;
  const bool flushed = std::fflush(stdout) == 0;
  if (flushed && std::ferror(stdout) == 0) return;
  throw run_error("commands", "standard output: cannot be written: {}",
                  errno != 0 ? std::generic_category().message(errno)
                             : "a full disk, or nobody reads it any more");
}

int run_program(int argc, const char* const* argv) {
  open_standard_descriptors();
  // Who started us may ignore it, which exec hands on; then nobody tells how a child ended.
  (void)::signal(SIGCHLD, SIG_DFL);
  keep_large_blocks();
  set_threads();
  start_log();
  CLI::App program(
      "Trains and compares image classifiers: Xception, Inception V3, ResNets and others.",
      "xception");
  program.require_subcommand(1);
  program.set_version_flag("--version", version_text);
  program.footer("Example: xception train --config configs/quickstart.json --data data");
  Invocation invocation;
  invocation.command_line.assign(argv, argv + argc);
  add_subcommands(program, invocation);
  take_words_literally(program);
  try {
    const int code = parse_and_run(program, invocation, argc, argv);
    // Whoever else wrote there left it at the stream's mark. A worse end keeps its code.
    if (code == 0) check_standard_output();
    return code;
  } catch (const std::exception& exception) {
    const auto error = describe_error(std::current_exception());
    if (is_device_fault(exception.what())) {
      end_after_device_fault(error.message +
                             "; if our own kernels are at fault, train.kernels=reference "
                             "train.cuda_graph=false goes without them");
    }
    return fail(error.message, error.exit_code);
  }
}

}  // namespace xception
