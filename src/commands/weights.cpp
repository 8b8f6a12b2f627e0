#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "subcommands.h"
#include "weights_average.h"
#include "xception/core/error.h"
#include "xception/core/log.h"
#include "xception/core/output_path.h"
#include "xception/core/readable.h"
#include "xception/core/safetensors.h"
#include "xception/models/registry.h"
#include "xception/train/checkpoint.h"
#include "xception/weights/fit.h"
#include "xception/weights/recognize.h"

namespace xception {
namespace {

namespace fs = std::filesystem;

struct WeightsArguments {
  std::vector<std::string> files;
  std::string in, out;
  bool json = false;
  bool overwrite = false;
};

std::string dtype_text(const at::Tensor& tensor) {
  return c10::toString(tensor.scalar_type());
}

std::string shape_text(const at::Tensor& tensor) {
  return fmt::format("({})", fmt::join(tensor.sizes().vec(), ", "));
}

/// How a file's tensors fit the model that they are recognized as.
struct Match {
  KnownWeights known;
  FitReport report;
  bool fits = false;
};

std::optional<Match> match(const WeightFile& weights) {
  auto known = recognize_weights(weights);
  if (!known) return {};
  Match match{.known = std::move(*known), .report = {}};
  const auto model = build_model(match.known.model);
  match.report = compare_weights(*model, weights);
  const auto counter = [](const auto& name) { return name.ends_with(".num_batches_tracked"); };
  match.fits = match.report.unexpected.empty() && match.report.other_size.empty() &&
               std::all_of(match.report.missing.begin(), match.report.missing.end(), counter);
  return match;
}

std::string settings_text(const KnownWeights& known) {
  std::string text;
  for (const auto& [key, value] : known.settings) text += fmt::format(" {}={}", key, value);
  return text;
}

nlohmann::ordered_json describe(const WeightFile& weights) {
  nlohmann::ordered_json json = {{"file", weights.file.string()}, {"format", weights.format}};
  std::int64_t values = 0;
  std::size_t bytes = 0;
  auto tensors = nlohmann::ordered_json::array();
  for (const auto& name : weights.order) {
    const auto& tensor = weights.tensors.at(name);
    values += tensor.numel();
    bytes += tensor.nbytes();
    tensors.push_back(
        {{"name", name}, {"dtype", dtype_text(tensor)}, {"shape", tensor.sizes().vec()}});
  }
  json["values"] = values;
  json["bytes"] = bytes;
  json["metadata"] = weights.metadata;
  json["notes"] = weights.notes;
  if (const auto found = match(weights)) {
    auto settings = nlohmann::ordered_json::object();
    for (const auto& [key, value] : found->known.settings) settings[key] = value;
    json["model"] = {{"source", found->known.source},
                     {"fits", found->fits},
                     {"settings", settings},
                     {"remarks", found->known.remarks},
                     {"missing", found->report.missing},
                     {"unexpected", found->report.unexpected}};
  } else {
    json["model"] = nullptr;
  }
  json["tensors"] = std::move(tensors);
  return json;
}

void print_info(const WeightFile& weights) {
  std::int64_t values = 0;
  std::size_t bytes = 0;
  for (const auto& name : weights.order) {
    const auto& tensor = weights.tensors.at(name);
    spdlog::info("{:<48} {:<10} {}", readable(name), dtype_text(tensor), shape_text(tensor));
    values += tensor.numel();
    bytes += tensor.nbytes();
  }
  spdlog::info("{}: {}; {} tensors, {:.2f} M values, {:.1f} MB", weights.file.string(),
               weights.format, weights.tensors.size(), static_cast<double>(values) / 1e6,
               static_cast<double>(bytes) / 1e6);
  for (const auto& [key, text] : weights.metadata)
    spdlog::info("metadata: {}: {}", readable(key), readable(text));
  for (const auto& note : weights.notes) spdlog::info("note: {}", note);
  const auto found = match(weights);
  if (!found) {
    spdlog::info("fits none of the models here");
    return;
  }
  spdlog::info("{} of {}:{}", found->fits ? "fits; weights" : "differs from our network; weights",
               found->known.source, settings_text(found->known));
  if (!found->fits) spdlog::info("{}", found->report.summary());
  for (const auto& remark : found->known.remarks) spdlog::info("{}", remark);
}

void show_info(const WeightsArguments& arguments) {
  auto all = nlohmann::ordered_json::array();
  for (const auto& file : arguments.files) {
    const auto weights = read_file_or_run(file);
    if (arguments.json) {
      all.push_back(describe(weights));
    } else {
      print_info(weights);
    }
  }
  if (arguments.json) print_json(all.size() == 1 ? all[0] : all);
}

/// Under our names where they are another program's.
TensorMap comparable(const WeightFile& weights) {
  const auto known = recognize_weights(weights);
  return known ? map_weights(*build_model(known->model), weights) : weights.tensors;
}

/// What differs between two tensors of a name; null where nothing does.
nlohmann::ordered_json difference(const at::Tensor& one, const at::Tensor& other) {
  if (one.sizes() != other.sizes()) {
    return {{"shapes", {one.sizes().vec(), other.sizes().vec()}}};
  }
  if (one.scalar_type() == other.scalar_type() && at::equal(one, other)) return nullptr;
  const auto a = one.to(at::kDouble);
  const auto b = other.to(at::kDouble);
  // What is not a number on both sides is the same.
  const auto same = a.eq(b).logical_or(a.isnan().logical_and(b.isnan()));
  if (same.all().item<bool>()) {
    if (one.scalar_type() == other.scalar_type()) return nullptr;
    return {{"dtypes", {dtype_text(one), dtype_text(other)}}};
  }
  const auto largest = (a - b).abs().masked_fill(same, 0.0).max().item<double>();
  nlohmann::ordered_json json;
  // JSON has no infinity.
  json["largest"] = std::isfinite(largest) ? nlohmann::ordered_json(largest) : "not finite";
  json["values"] = same.logical_not().sum().item<std::int64_t>();
  return json;
}

std::string difference_text(const nlohmann::ordered_json& found) {
  if (found.contains("shapes")) return "other shapes: " + found["shapes"].dump();
  if (found.contains("dtypes")) return "equal, of other dtypes: " + found["dtypes"].dump();
  const auto& largest = found["largest"];
  return fmt::format(
      "largest difference {}, in {} values",
      largest.is_string() ? "not finite" : fmt::format("{:.3g}", largest.get<double>()),
      found["values"].get<std::int64_t>());
}

/// Returns whether they are equal.
bool show_difference(const WeightsArguments& arguments) {
  const auto one = comparable(read_file_or_run(arguments.in));
  const auto other = comparable(read_file_or_run(arguments.out));
  auto different = nlohmann::ordered_json::object();
  std::size_t equal = 0;
  for (const auto& [name, tensor] : one) {
    const auto found = other.find(name);
    if (found == other.end()) {
      different[name] = {{"only_in", arguments.in}};
      continue;
    }
    auto differs = difference(tensor, found->second);
    if (differs.is_null()) {
      ++equal;
    } else {
      different[name] = std::move(differs);
    }
  }
  for (const auto& [name, tensor] : other) {
    if (!one.contains(name)) different[name] = {{"only_in", arguments.out}};
  }
  if (arguments.json) {
    print_json({{"equal", equal}, {"different", different}});
    return different.empty();
  }
  for (const auto& [name, found] : different.items()) {
    spdlog::info("{:<48} {}", readable(name),
                 found.contains("only_in") ? "only in " + found["only_in"].get<std::string>()
                                           : difference_text(found));
  }
  spdlog::info("{} tensors are equal, {} differ", equal, different.size());
  return different.empty();
}

void convert(const WeightsArguments& arguments) {
  if (!arguments.overwrite) refuse_existing(arguments.out, "OUT", "weights");
  const auto weights = read_file_or_run(arguments.in);
  auto metadata = weights.metadata;
  metadata.try_emplace("format", "pt");  // which libraries of Python ask for
  auto tensors = comparable(weights);
  for (auto& [name, tensor] : tensors) tensor = tensor.contiguous();
  (void)save_safetensors(arguments.out, tensors, metadata);
  const auto known = recognize_weights(weights);
  spdlog::info("{}: {} tensors, {}", arguments.out, tensors.size(),
               known ? "by the names of" + settings_text(*known) : "by the names that they had");
}

}  // namespace

void add_weights_command(CLI::App& program, Invocation& invocation) {
  auto arguments = std::make_shared<WeightsArguments>();
  auto* command =
      program.add_subcommand("weights", "Look at, compare, convert, average files of weights");
  command->require_subcommand(1);
  command->footer("Example: xception weights info xception.h5");

  auto* info = command->add_subcommand("info", "Tensors, and which model they fit");
  info->add_option("files", arguments->files,
                   "FILE ...: safetensors, torch.save's, Keras's HDF5, or run directories")
      ->required();
  info->add_flag("--json", arguments->json, "Print JSON");
  info->footer("Example: xception weights info xception.h5");
  info->callback([arguments] {
    if (arguments->json) start_log(/*to_standard_error=*/true);
    show_info(*arguments);
  });

  auto* diff = command->add_subcommand("diff", "Compare two: exit code 0 if equal, 1 if not");
  diff->add_option("a", arguments->in, "A file of weights, or a run directory")->required();
  diff->add_option("b", arguments->out, "Another")->required();
  diff->add_flag("--json", arguments->json, "Print JSON");
  diff->footer("Example: xception weights diff runs/a runs/b");
  diff->callback([arguments, &invocation] {
    if (arguments->json) start_log(/*to_standard_error=*/true);
    if (!show_difference(*arguments)) invocation.exit_code = 1;
  });

  auto* average = command->add_subcommand("average", "The mean of several files of one model");
  average
      ->add_option("files", arguments->files,
                   "FILE FILE ...: as info takes them; of a run directory its best checkpoint")
      ->required();
  average->add_option("--out", arguments->out, "The safetensors file to write")->required();
  average->add_flag("--overwrite", arguments->overwrite, "Replace a file that is there");
  average->footer(
      "Example: xception weights average runs/a runs/a-2 runs/a-3 --out soup.safetensors");
  average->callback(
      [arguments] { average_weights(arguments->files, arguments->out, arguments->overwrite); });

  auto* into = command->add_subcommand("convert", "Write safetensors, by our names where known");
  into->add_option("in", arguments->in, "A file of weights, or a run directory")->required();
  into->add_option("out", arguments->out, "The safetensors file to write")->required();
  into->add_flag("--overwrite", arguments->overwrite, "Replace a file that is there");
  into->footer("Example: xception weights convert xception.h5 xception.safetensors");
  into->callback([arguments] { convert(*arguments); });
}

}  // namespace xception
