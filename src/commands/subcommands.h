#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace xception {

/// What a subcommand hands back to the program.
struct Invocation {
  std::vector<std::string> command_line;
  int exit_code = 0;
};

// Each adds one subcommand: its options, its help with an example, and what it does.
void add_train_command(CLI::App& program, Invocation& invocation);
void add_sweep_command(CLI::App& program, Invocation& invocation);
void add_report_command(CLI::App& program, Invocation& invocation);
void add_bench_command(CLI::App& program, Invocation& invocation);
void add_eval_command(CLI::App& program, Invocation& invocation);
void add_predict_command(CLI::App& program, Invocation& invocation);
void add_export_command(CLI::App& program, Invocation& invocation);
void add_recipes_command(CLI::App& program, Invocation& invocation);
void add_models_command(CLI::App& program, Invocation& invocation);
void add_weights_command(CLI::App& program, Invocation& invocation);
void add_data_command(CLI::App& program, Invocation& invocation);
void add_doctor_command(CLI::App& program, Invocation& invocation);
void add_config_command(CLI::App& program, Invocation& invocation);
void add_completion_command(CLI::App& program, Invocation& invocation);
void add_man_command(CLI::App& program, Invocation& invocation);

/// Prints a result for machines. Errors (run): standard output cannot be written.
void print_json(const nlohmann::ordered_json& json);

/// Errors (run): something that was printed on standard output, here or in the log, could not be
/// written.
void check_standard_output();

}  // namespace xception
