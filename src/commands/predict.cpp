#include <algorithm>
#include <iostream>
#include <optional>
#include <sstream>
#include <utility>

#include "answers.h"
#include "model_choice.h"
#include "picture_list.h"
#include "picture_queue.h"
#include "subcommands.h"
#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/json.h"
#include "xception/core/log.h"
#include "xception/data/image_io.h"
#include "xception/data/pipeline.h"
#include "xception/models/fold.h"
#include "xception/models/registry.h"
#include "xception/parallel/device_memory.h"
#include "xception/train/experiment.h"
#include "xception/train/precision.h"
#include "xception/train/views.h"

namespace xception {
namespace {

struct PredictArguments {
  ModelChoice model;
  std::vector<std::string> images;
  std::string device = "auto";
  std::int64_t top_k = 5;
  bool ignore_orientation = false;
  std::string labels;
  std::int64_t batch_size = 0;
  std::string tta = "none";
  bool json = false;
  bool jsonl = false;
  bool csv = false;
};

AnswerFormat format_of(const PredictArguments& arguments) {
  return arguments.json    ? AnswerFormat::json
         : arguments.jsonl ? AnswerFormat::jsonl
         : arguments.csv   ? AnswerFormat::csv
                           : AnswerFormat::text;
}

/// The class names of a file: a JSON list, or a name a line.
std::vector<std::string> read_labels(const std::string& file) {
  const auto text = read_file(file, "predict");
  std::vector<std::string> names;
  const auto start = text.find_first_not_of(" \t\r\n");
  if (start != std::string::npos && text[start] == '[') {
    const auto list = parse_json(text, "predict", file);
    for (const auto& name : list) {
      if (!name.is_string()) {
        throw input_error("predict", "{}: found {}, expected a list of names", file, shown(name));
      }
      names.push_back(name.get<std::string>());
    }
    return names;
  }
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) names.push_back(line);
  }
  return names;
}

/// The model and the names of its classes.
LoadedRun load_model(const PredictArguments& arguments, const torch::Device& device) {
  auto run = arguments.model.load("predict", device);
  if (arguments.labels.empty()) return run;
  run.class_names = read_labels(arguments.labels);
  if (std::ssize(run.class_names) != run.config.model.num_classes) {
    throw input_error("predict", "--labels {}: found {} names, expected one for each of {} classes",
                      arguments.labels, run.class_names.size(), run.config.model.num_classes);
  }
  return run;
}

/// A picture as the network's input, (1, 3, size, size) on the CPU.
torch::Tensor prepare(const LoadedRun& run, const Pipeline& pipeline,
                      const PredictArguments& arguments, const std::string& name,
                      const BeforeDecoding& before) {
  auto picture = name == "-" ? read_picture(std::cin, "standard input", before)
                             : read_picture(std::filesystem::path(name), before);
  if (arguments.ignore_orientation) picture.orientation = 1;
  const auto& config = run.config;
  const Size size{picture.height(), picture.width()};
  const auto drawn = pipeline.draw(static_cast<std::uint64_t>(config.seed), 0,
                                   torch::zeros({1}, torch::kInt64), size);
  const auto weights = run.model->parameters().front().scalar_type();
  const auto read = [&](const Part& part) {
    auto pixels = torch::empty({part.size.height, part.size.width, 3}, torch::kUInt8);
    picture.copy(part.top, part.left, part.size.height, part.size.width,
                 pixels.mutable_data_ptr<std::uint8_t>());
    return pixels;
  };
  return pipeline.apply_to_picture(read, size, drawn,
                                   parse_precision(config.train.eval_precision).images(weights),
                                   config.train.channels_last);
}

/// What the network says of a batch of inputs: float32 (N, classes), CPU.
struct Probabilities {
  torch::Tensor plain;
  torch::Tensor answered;  ///< the mean over views, where --tta asks for it; else plain
};

Probabilities classify(const LoadedRun& run, const std::vector<torch::Tensor>& inputs,
                       const std::vector<View>& views, const torch::Device& device) {
  const torch::NoGradGuard no_grad;
  const auto format = run.config.train.channels_last ? torch::MemoryFormat::ChannelsLast
                                                     : torch::MemoryFormat::Contiguous;
  const auto batch = torch::cat(inputs).contiguous(format).to(device);
  const Autocast autocast(parse_precision(run.config.train.eval_precision), device.type());
  const auto logits = run.model->forward(batch).logits;
  const auto plain = logits.to(torch::kFloat32).softmax(1).cpu();
  if (views.empty()) return {.plain = plain, .answered = plain};
  return {.plain = plain, .answered = view_probabilities(*run.model, batch, logits, views).cpu()};
}

/// What has been answered, in numbers.
struct Counts {
  std::size_t all = 0;
  std::size_t done = 0;
  std::size_t bad = 0;
  // Of the pictures in folders that are called like classes.
  std::size_t labeled = 0, correct = 0, correct_among_five = 0;
  std::size_t plain_correct = 0;  ///< without views
};

/// Counts a picture whose folder says its class.
void count_label(const std::string& folder, const torch::Tensor& probabilities,
                 const torch::Tensor& plain, const std::vector<std::string>& names,
                 Counts& counts) {
  const auto named = std::find(names.begin(), names.end(), folder);
  if (folder.empty() || named == names.end()) return;
  const auto label = named - names.begin();
  const auto better = (probabilities > probabilities[label]).sum().item<std::int64_t>();
  ++counts.labeled;
  counts.correct += better == 0 ? 1 : 0;
  counts.correct_among_five += better < 5 ? 1 : 0;
  counts.plain_correct += (plain > plain[label]).any().item<bool>() ? 0 : 1;
}

void show_accuracy(const Counts& counts, const std::string& tta) {
  if (counts.labeled == 0) return;
  const auto percent = [&](std::size_t n) {
    return 100.0 * static_cast<double>(n) / static_cast<double>(counts.labeled);
  };
  spdlog::info(
      "accuracy {:.2f} %, among the first five {:.2f} %, of {} pictures in folders with "
      "the names of classes",
      percent(counts.correct), percent(counts.correct_among_five), counts.labeled);
  if (tta != "none") {
    spdlog::info("that is with --tta {}; without it, accuracy {:.2f} %", tta,
                 percent(counts.plain_correct));
  }
}

void show_progress(const Counts& counts) {
  const auto bad = counts.bad > 0 ? fmt::format(", {} bad", counts.bad) : "";
  StatusLine::show(fmt::format("{} of {} pictures{}", counts.done, counts.all, bad));
}

/// Answers one batch, in the order of the list.
void answer(const std::vector<PreparedPicture>& batch, const ListedPicture* listed,
            const Probabilities& probabilities, const std::vector<std::string>& names,
            const PredictArguments& arguments, Answers& answers, Counts& counts) {
  std::int64_t row = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    ++counts.done;
    if (batch[i].problem.empty()) {
      const auto own = probabilities.answered[row];
      const auto plain = probabilities.plain[row++];
      const bool has_views = arguments.tta != "none";
      answers.add(listed[i].name,
                  top_classes(own, has_views ? plain : torch::Tensor(), names, arguments.top_k));
      count_label(listed[i].folder, own, plain, names, counts);
    } else {
      ++counts.bad;
      answers.add_problem(listed[i].name, batch[i].problem);
    }
  }
}

/// Returns the exit code: 1 if some pictures are bad, 2 if all are.
int predict(const PredictArguments& arguments) {
  const auto format = format_of(arguments);
  // So that standard output has the answers alone.
  if (format != AnswerFormat::text) start_log(/*to_standard_error=*/true);
  const auto device = parse_device(arguments.device);
  const auto run = load_model(arguments, device);
  release_unused_memory(torch::kCPU);  // of reading the weights
  const auto& names = run.class_names;
  const auto listed = list_pictures(arguments.images);
  const Pipeline pipeline(run.config, TransformList::test, torch::kCPU, pixel_steps(run.kernels));
  const auto precision = parse_precision(run.config.train.eval_precision);
  std::optional<FoldedBatchNorms> folded;
  if (run.config.train.eval_fold_batch_norm) {
    const auto weights = run.model->parameters().front().scalar_type();
    folded.emplace(*run.model, precision.autocast ? precision.autocast_dtype : weights);
  }
  // More images don't make a processor faster; a GPU they do.
  const std::int64_t batch_size = arguments.batch_size > 0 ? arguments.batch_size
                                  : device.is_cuda()       ? 32
                                                           : 8;
  PictureQueue queue(
      listed,
      [&](const std::string& name, const BeforeDecoding& before) {
        return prepare(run, pipeline, arguments, name, before);
      },
      batch_size, /*threads=*/torch::get_num_threads());
  const auto views =
      views_of(arguments.tta, run.config.data.image_size, min_image_size(run.config.model));
  Answers answers(format, !views.empty());
  Counts counts{.all = listed.size()};
  while (true) {
    const auto batch = queue.next();
    if (batch.empty()) break;
    show_progress(counts);
    std::vector<torch::Tensor> inputs;
    for (const auto& picture : batch) {
      if (picture.problem.empty()) inputs.push_back(picture.input);
    }
    const auto probabilities =
        inputs.empty() ? Probabilities() : classify(run, inputs, views, device);
    StatusLine::clear();
    answer(batch, &listed[counts.done], probabilities, names, arguments, answers, counts);
    check_standard_output();
  }
  answers.end();
  show_accuracy(counts, arguments.tta);
  if (counts.bad == 0) return 0;
  return counts.bad == counts.all ? 2 : 1;
}

}  // namespace

void add_predict_command(CLI::App& program, Invocation& invocation) {
  auto arguments = std::make_shared<PredictArguments>();
  auto* command = program.add_subcommand("predict", "Classify JPEG, PNG and WebP files");
  arguments->model.add_options(*command);
  command->add_option("--labels", arguments->labels,
                      "File of the classes' names: one a line, or a JSON list");
  command
      ->add_option(
          "images", arguments->images,
          "JPEG, PNG and WebP files; folders (all below them, but for hidden ones); patterns "
          "such as 'photos/*.jpg'; @FILE or @- (standard input): a list, a path a line or "
          "ended by NUL; -: one picture from standard input")
      ->required();
  command->add_option("--device", arguments->device, "auto, cpu, cuda or cuda:N")
      ->capture_default_str();
  command->add_option("--top-k", arguments->top_k, "Classes to show of each image")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->add_flag("--ignore-orientation", arguments->ignore_orientation,
                    "Take the pixels as they are stored, as torchvision's loader does; otherwise "
                    "pictures are turned upright by their EXIF orientation");
  command
      ->add_option("--batch-size", arguments->batch_size,
                   "Pictures computed together (default: 8, on a GPU 32)")
      ->check(CLI::Range(1, 65536));
  add_tta_option(*command, arguments->tta);
  auto* json = command->add_flag("--json", arguments->json,
                                 "Print JSON: an array with image and top, or error, of each");
  auto* jsonl = command->add_flag("--jsonl", arguments->jsonl, "Print such an object a line");
  auto* csv = command->add_flag("--csv", arguments->csv,
                                "Print image,rank,class,label,probability,error (with --tta "
                                "plain_probability before error)");
  jsonl->excludes(json);
  csv->excludes(json)->excludes(jsonl);
  command->footer(
      "Bad pictures are told of on standard error and the others answered; the exit code is then "
      "1, or 2 if all are bad. For folders that hold a folder a class, the accuracy is told too.\n"
      "Example: xception predict --run runs/xception cat.jpg photos --top-k 3");
  command->callback([arguments, &invocation] { invocation.exit_code = predict(*arguments); });
}

}  // namespace xception
