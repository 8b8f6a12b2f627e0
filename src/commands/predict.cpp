#include <cstdio>
#include <iostream>
#include <utility>

#include "picture_list.h"
#include "picture_queue.h"
#include "subcommands.h"
#include "xception/core/error.h"
#include "xception/core/json.h"
#include "xception/core/log.h"
#include "xception/data/image_io.h"
#include "xception/data/pipeline.h"
#include "xception/parallel/device_memory.h"
#include "xception/train/experiment.h"
#include "xception/train/load_run.h"
#include "xception/train/precision.h"
#include "xception/train/run_directory.h"

namespace xception {
namespace {

struct PredictArguments {
  std::string run;
  std::vector<std::string> images;
  std::string checkpoint = "best";
  std::string device = "auto";
  std::int64_t top_k = 5;
  bool ignore_orientation = false;
  bool json = false;
};

/// The class names that the run was trained on; numbers where it recorded none.
std::vector<std::string> class_names(const RunDirectory& directory, std::int64_t classes) {
  std::vector<std::string> names;
  if (std::filesystem::exists(directory.summary())) {
    names = read_json(directory.summary(), "predict")
                .value("/data/classes"_json_pointer, std::vector<std::string>());
  }
  for (auto i = static_cast<std::int64_t>(names.size()); i < classes; ++i) {
    names.push_back(fmt::format("class {}", i));
  }
  return names;
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

/// Probabilities of a batch of inputs: float32 (N, classes), CPU.
torch::Tensor classify(const LoadedRun& run, const std::vector<torch::Tensor>& inputs,
                       const torch::Device& device) {
  const torch::NoGradGuard no_grad;
  const auto format = run.config.train.channels_last ? torch::MemoryFormat::ChannelsLast
                                                     : torch::MemoryFormat::Contiguous;
  const auto batch = torch::cat(inputs).contiguous(format).to(device);
  const Autocast autocast(parse_precision(run.config.train.eval_precision), device.type());
  return run.model->forward(batch).logits.to(torch::kFloat32).softmax(1).cpu();
}

nlohmann::ordered_json top_classes(const torch::Tensor& probabilities,
                                   const std::vector<std::string>& names, std::int64_t top_k) {
  const auto k = std::min(top_k, probabilities.size(0));
  const auto [values, classes] = probabilities.topk(k);
  auto top = nlohmann::ordered_json::array();
  for (std::int64_t i = 0; i < k; ++i) {
    const auto index = classes[i].item<std::int64_t>();
    top.push_back({{"class", index},
                   {"label", names[static_cast<std::size_t>(index)]},
                   {"probability", values[i].item<float>()}});
  }
  return top;
}

/// A name or message in one line, whatever a file is called.
std::string in_one_line(const std::string& text) {
  std::string line;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    line += code < 0x20 || code == 0x7F ? fmt::format("\\x{:02x}", code) : std::string(1, c);
  }
  return line;
}

/// Prints answers as they come: lines, or the elements of one JSON array.
class Answers {
 public:
  explicit Answers(bool json) : json_(json) {}

  void add(const std::string& image, const nlohmann::ordered_json& top) {
    if (json_) {
      add_element({{"image", image}, {"top", top}});
      return;
    }
    std::string line = in_one_line(image) + ": ";
    for (const auto& item : top) {
      line +=
          fmt::format("{}{} {:.1f} %", &item == &top.front() ? "" : ", ",
                      item["label"].get<std::string>(), 100.0 * item["probability"].get<double>());
    }
    spdlog::info("{}", line);
  }

  void add_problem(const std::string& image, const std::string& problem) {
    print_error(in_one_line(problem));
    if (json_) add_element({{"image", image}, {"error", problem}});
  }

  void end() {
    if (json_) std::fputs("\n]\n", stdout);
    check_standard_output();
  }

 private:
  /// As they would stand in the whole array's text.
  void add_element(const nlohmann::ordered_json& element) {
    const auto text = nlohmann::ordered_json::array({element}).dump(
        2, ' ', false, nlohmann::json::error_handler_t::replace);
    // Without the array's own brackets: "[\n" and "\n]".
    std::fputs(std::exchange(first_, false) ? "[\n" : ",\n", stdout);
    std::fwrite(text.data() + 2, 1, text.size() - 4, stdout);
  }

  bool json_;
  bool first_ = true;
};

/// What has been answered, in numbers.
struct Counts {
  std::size_t all = 0;
  std::size_t done = 0;
  std::size_t bad = 0;
};

void show_progress(const Counts& counts) {
  const auto bad = counts.bad > 0 ? fmt::format(", {} bad", counts.bad) : "";
  StatusLine::show(fmt::format("{} of {} pictures{}", counts.done, counts.all, bad));
}

/// Answers one batch, in the order of the list.
void answer(const std::vector<PreparedPicture>& batch, const ListedPicture* listed,
            const torch::Tensor& probabilities, const std::vector<std::string>& names,
            const PredictArguments& arguments, Answers& answers, Counts& counts) {
  std::int64_t row = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    ++counts.done;
    if (batch[i].problem.empty()) {
      answers.add(listed[i].name, top_classes(probabilities[row++], names, arguments.top_k));
    } else {
      ++counts.bad;
      answers.add_problem(listed[i].name, batch[i].problem);
    }
  }
}

/// Returns the exit code: 1 if some pictures are bad, 2 if all are.
int predict(const PredictArguments& arguments) {
  if (arguments.json) start_log(/*to_standard_error=*/true);
  const auto device = parse_device(arguments.device);
  const auto run = load_run(arguments.run, arguments.checkpoint, device);
  release_unused_memory(torch::kCPU);  // of reading the checkpoint
  const auto names = class_names(RunDirectory(arguments.run), run.config.model.num_classes);
  const auto listed = list_pictures(arguments.images);
  const Pipeline pipeline(run.config, TransformList::test, torch::kCPU, pixel_steps(run.kernels));
  // More images don't make a processor faster; a GPU they do.
  PictureQueue queue(
      listed,
      [&](const std::string& name, const BeforeDecoding& before) {
        return prepare(run, pipeline, arguments, name, before);
      },
      /*batch=*/device.is_cuda() ? 32 : 8, /*threads=*/torch::get_num_threads());
  Answers answers(arguments.json);
  Counts counts{.all = listed.size()};
  while (true) {
    const auto batch = queue.next();
    if (batch.empty()) break;
    show_progress(counts);
    std::vector<torch::Tensor> inputs;
    for (const auto& picture : batch) {
      if (picture.problem.empty()) inputs.push_back(picture.input);
    }
    const auto probabilities = inputs.empty() ? torch::Tensor() : classify(run, inputs, device);
    StatusLine::clear();
    answer(batch, &listed[counts.done], probabilities, names, arguments, answers, counts);
    check_standard_output();
  }
  answers.end();
  if (counts.bad == 0) return 0;
  return counts.bad == counts.all ? 2 : 1;
}

}  // namespace

void add_predict_command(CLI::App& program, Invocation& invocation) {
  auto arguments = std::make_shared<PredictArguments>();
  auto* command = program.add_subcommand("predict", "Classify JPEG and PNG files");
  command->add_option("--run", arguments->run, "Run directory")->required();
  command
      ->add_option("images", arguments->images,
                   "JPEG and PNG files; folders (all below them, but for hidden ones); patterns "
                   "such as 'photos/*.jpg'; @FILE or @- (standard input): a list, a path a line or "
                   "ended by NUL; -: one picture from standard input")
      ->required();
  command->add_option("--checkpoint", arguments->checkpoint, "best or last")
      ->check(CLI::IsMember({"best", "last"}))
      ->capture_default_str();
  command->add_option("--device", arguments->device, "auto, cpu, cuda or cuda:N")
      ->capture_default_str();
  command->add_option("--top-k", arguments->top_k, "Classes to show of each image")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->add_flag("--ignore-orientation", arguments->ignore_orientation,
                    "Take the pixels as they are stored, as torchvision's loader does; otherwise "
                    "pictures are turned upright by their EXIF orientation");
  command->add_flag("--json", arguments->json,
                    "Print JSON: an array with image and top, or error, of each");
  command->footer(
      "Bad pictures are told of on standard error and the others answered; the exit code is then "
      "1, "
      "or 2 if all are bad.\n"
      "Example: xception predict --run runs/xception cat.jpg photos --top-k 3");
  command->callback([arguments, &invocation] { invocation.exit_code = predict(*arguments); });
}

}  // namespace xception
