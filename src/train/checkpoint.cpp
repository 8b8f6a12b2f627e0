#include "xception/train/checkpoint.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include "checkpoint_folders.h"
#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/json.h"

namespace xception {
namespace {

nlohmann::ordered_json tensor_sums(const TensorMap& tensors) {
  auto sums = nlohmann::ordered_json::object();
  for (const auto& [name, tensor] : tensors) sums[name] = tensor_sha256(tensor);
  return sums;
}

/// Fills `folder` with the three files.
void write_files(const std::filesystem::path& folder, const TrainingPosition& place,
                 const CheckpointContent& content, nlohmann::ordered_json state) {
  TensorMap state_tensors;
  auto values = nlohmann::ordered_json::object();
  for (const auto* stateful : content.states) {
    const auto own = stateful->state();
    const auto name = stateful->state_name();
    values[name] = own.values;
    for (const auto& [key, tensor] : own.tensors) state_tensors[name + "/" + key] = tensor;
  }
  auto model = model_tensors(content.model);
  // Once to the CPU, for the file and for the sums.
  for (auto* tensors : {&model, &state_tensors}) {
    for (auto& [key, tensor] : *tensors) tensor = tensor.detach().to(torch::kCPU).contiguous();
  }
  state["epoch"] = place.epoch;
  state["step_in_epoch"] = place.step_in_epoch;
  state["step"] = place.step;
  state["files"][kModelFile] = save_safetensors(folder / kModelFile, model, content.metadata);
  state["files"][kStateTensorsFile] = save_safetensors(folder / kStateTensorsFile, state_tensors);
  state["tensors"][kModelFile] = tensor_sums(model);
  state["tensors"][kStateTensorsFile] = tensor_sums(state_tensors);
  state["states"] = std::move(values);
  // The state vouches for the tensors; this vouches for the state.
  state["checksum"] = sha256(state.dump());
  write_json(folder / kStateFile, state);
}

std::filesystem::path find_checkpoint(const RunDirectory& directory, const std::string& name) {
  if (auto folder = find_checkpoint_folder(directory, name)) return *folder;
  const std::string other = name == "best" ? "last" : "best";
  throw input_error(
      "train", "{}: has no checkpoint {} yet; {}", directory.root().string(), name,
      has_checkpoint(directory, other) ? "use --checkpoint " + other : "nothing was saved there");
}

/// Makes a link again of what copying made of `last` or `best`.
void mend_link(const RunDirectory& directory, const std::string& name) {
  const auto entry = directory.checkpoints() / name;
  const auto folder = find_checkpoint_folder(directory, name);
  if (!folder || std::filesystem::is_symlink(entry)) return;
  auto target = folder->filename().string();
  if (target == name) {  // a copy of the folder stands in the link's place
    const auto state = read_checkpoint_state(entry);
    target = state.value("folder", fmt::format("step-{}", state.at("step").get<std::int64_t>()));
    if (is_copy(directory.checkpoints() / target, state)) {
      std::filesystem::remove_all(entry);
    } else {
      if (std::filesystem::exists(directory.checkpoints() / target)) {
        target = free_checkpoint_name(directory, state.at("step"));
      }
      std::filesystem::rename(entry, directory.checkpoints() / target);
    }
  }
  point_checkpoint(directory, name, target);
}

/// One safetensors file of a checkpoint, checked against its recorded sum.
TensorMap read_tensors(const std::filesystem::path& folder, const nlohmann::json& state,
                       const char* file) {
  return load_safetensors(folder / file, state.at("files").at(file).get<std::string>());
}

TrainingPosition read_place(const nlohmann::json& state) {
  return {.epoch = state.at("epoch").get<std::int64_t>(),
          .step_in_epoch = state.at("step_in_epoch").get<std::int64_t>(),
          .step = state.at("step").get<std::int64_t>()};
}

}  // namespace

void save_checkpoint(const RunDirectory& directory, const TrainingPosition& place,
                     const CheckpointContent& content, bool best) {
  const auto name = free_checkpoint_name(directory, place.step);
  const auto folder = directory.checkpoints() / name;
  const auto temporary = directory.checkpoints() / fmt::format(".tmp-{}-{}", name, ::getpid());
  std::error_code error;
  try {
    std::filesystem::create_directories(temporary, error);
    if (error) {
      throw run_error("train", "{}: cannot be made: {}", temporary.string(), error.message());
    }
    write_files(temporary, place, content,
                {{"format", 1},
                 {"folder", name},
                 {"supersedes", superseded_by_next(directory, place.step)},
                 {"best", best}});
    sync_directory(temporary);
    std::filesystem::rename(temporary, folder);
  } catch (const std::exception& cause) {
    std::filesystem::remove_all(temporary, error);
    throw run_error("train", "checkpoint of step {} was not saved: {}; the previous one is intact",
                    place.step, cause.what());
  }
  sync_directory(directory.checkpoints());
  point_checkpoint(directory, "last", name);
  if (best) point_checkpoint(directory, "best", name);
  sync_directory(directory.checkpoints());
  remove_superseded(directory);
}

bool has_checkpoint(const RunDirectory& directory, const std::string& name) {
  std::error_code error;
  const auto status = std::filesystem::symlink_status(directory.checkpoints() / name, error);
  return std::filesystem::exists(status) || find_checkpoint_folder(directory, name).has_value();
}

bool is_same_checkpoint(const RunDirectory& directory, const std::string& one,
                        const std::string& other) {
  const auto folder = find_checkpoint_folder(directory, one);
  return folder && folder == find_checkpoint_folder(directory, other);
}

WeightFile read_file_or_run(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return read_weights(path);
  const RunDirectory directory(path);
  const std::string name = has_checkpoint(directory, "best") ? "best" : "last";
  const auto folder = find_checkpoint(directory, name);
  WeightFile weights{.file = path, .format = "run directory, checkpoint " + name};
  weights.tensors = read_tensors(folder, read_checkpoint_state(folder), kModelFile);
  for (const auto& [tensor, value] : weights.tensors) weights.order.push_back(tensor);
  return weights;
}

void mend_checkpoints(const RunDirectory& directory) {
  // What cannot be made sense of is found before the first change.
  for (const auto* name : {"last", "best"}) {
    if (const auto folder = find_checkpoint_folder(directory, name)) {
      (void)read_checkpoint_state(*folder);
    }
  }
  mend_link(directory, "last");
  mend_link(directory, "best");
  const auto last = find_checkpoint(directory, "last");
  // The process died after pointing `last` at a checkpoint that is also the best.
  if (read_checkpoint_state(last).value("best", false) &&
      !is_same_checkpoint(directory, "last", "best")) {
    point_checkpoint(directory, "best", last.filename().string());
  }
  remove_superseded(directory);
}

void take_last_for_best(const RunDirectory& directory) {
  point_checkpoint(directory, "best", find_checkpoint(directory, "last").filename().string());
}

std::filesystem::path checkpoint_weights(const RunDirectory& directory, const std::string& name) {
  return find_checkpoint(directory, name) / kModelFile;
}

TrainingPosition load_checkpoint_model(const RunDirectory& directory, const std::string& name,
                                       Classifier& model) {
  const auto folder = find_checkpoint(directory, name);
  const auto state = read_checkpoint_state(folder);
  load_model_tensors(model, read_tensors(folder, state, kModelFile),
                     (folder / kModelFile).string());
  return read_place(state);
}

TrainingPosition load_checkpoint(const RunDirectory& directory, const std::string& name,
                                 const CheckpointContent& content) {
  const auto folder = find_checkpoint(directory, name);
  const auto state = read_checkpoint_state(folder);
  load_model_tensors(content.model, read_tensors(folder, state, kModelFile),
                     (folder / kModelFile).string());
  const auto tensors = read_tensors(folder, state, kStateTensorsFile);
  for (auto* stateful : content.states) {
    const auto prefix = stateful->state_name() + "/";
    State own;
    for (const auto& [key, tensor] : tensors) {
      if (key.starts_with(prefix)) own.tensors[key.substr(prefix.size())] = tensor;
    }
    const auto& values = state.at("states");
    if (values.contains(stateful->state_name())) own.values = values.at(stateful->state_name());
    stateful->load_state(own);
  }
  return read_place(state);
}

TensorMap model_tensors(const Classifier& model) {
  TensorMap tensors;
  for (const auto& item : model.named_parameters()) tensors[item.key()] = item.value();
  for (const auto& item : model.named_buffers()) tensors[item.key()] = item.value();
  return tensors;
}

void load_model_tensors(Classifier& model, const TensorMap& tensors, const std::string& where) {
  const torch::NoGradGuard no_grad;
  auto targets = model_tensors(model);
  for (const auto& [name, tensor] : tensors) {
    if (!targets.contains(name)) {
      throw input_error("train",
                        "{}: tensor {} is not part of this model; the file belongs to "
                        "another model",
                        where, name);
    }
  }
  for (auto& [name, target] : targets) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      throw input_error("train", "{}: tensor {} is missing; the file belongs to another model",
                        where, name);
    }
    if (found->second.sizes() != target.sizes()) {
      throw input_error("train",
                        "{}: tensor {} is [{}], expected [{}]; the file belongs to another model",
                        where, name, fmt::join(found->second.sizes().vec(), ", "),
                        fmt::join(target.sizes().vec(), ", "));
    }
    target.copy_(found->second);
  }
}

}  // namespace xception
