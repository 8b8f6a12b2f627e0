#include "xception/train/checkpoint.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/json.h"

namespace xception {
namespace {

constexpr const char* kModelFile = "model.safetensors";
constexpr const char* kStateTensorsFile = "optimizer.safetensors";
constexpr const char* kStateFile = "state.json";

/// `step-N`, or where that exists already (stopped after an epoch's last step, gone on, saved again
/// after its validation) `step-N.2`: a folder that a link points at is never replaced.
std::string folder_name(const RunDirectory& directory, std::int64_t step) {
  auto name = fmt::format("step-{}", step);
  for (int i = 2; std::filesystem::exists(directory.checkpoints() / name); ++i) {
    name = fmt::format("step-{}.{}", step, i);
  }
  return name;
}

nlohmann::ordered_json tensor_sums(const TensorMap& tensors) {
  auto sums = nlohmann::ordered_json::object();
  for (const auto& [name, tensor] : tensors) sums[name] = tensor_sha256(tensor);
  return sums;
}

/// Fills `folder` with the three files.
void write_files(const std::filesystem::path& folder, const CheckpointPlace& place,
                 const CheckpointContent& content, bool best) {
  TensorMap state_tensors;
  auto values = nlohmann::ordered_json::object();
  for (const auto* stateful : content.states) {
    const auto state = stateful->state();
    const auto name = stateful->state_name();
    values[name] = state.values;
    for (const auto& [key, tensor] : state.tensors) state_tensors[name + "/" + key] = tensor;
  }
  auto model = model_tensors(content.model);
  // Once to the CPU, for the file and for the sums.
  for (auto* tensors : {&model, &state_tensors}) {
    for (auto& [key, tensor] : *tensors) tensor = tensor.detach().to(torch::kCPU).contiguous();
  }
  nlohmann::ordered_json state;
  state["format"] = 1;
  state["epoch"] = place.epoch;
  state["step_in_epoch"] = place.step_in_epoch;
  state["step"] = place.step;
  state["best"] = best;
  state["files"][kModelFile] = save_safetensors(folder / kModelFile, model);
  state["files"][kStateTensorsFile] = save_safetensors(folder / kStateTensorsFile, state_tensors);
  state["tensors"][kModelFile] = tensor_sums(model);
  state["tensors"][kStateTensorsFile] = tensor_sums(state_tensors);
  state["states"] = std::move(values);
  // The state vouches for the tensors; this vouches for the state.
  state["checksum"] = sha256(state.dump());
  write_json(folder / kStateFile, state);
}

std::string link_target(const std::filesystem::path& link) {
  std::error_code error;
  const auto target = std::filesystem::read_symlink(link, error);
  return error ? "" : target.filename().string();
}

/// Removes checkpoints that no link points at, and temporary folders of dead processes.
void remove_unused(const RunDirectory& directory) {
  const auto last = link_target(directory.checkpoints() / "last");
  const auto best = link_target(directory.checkpoints() / "best");
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory.checkpoints(), error)) {
    const auto name = entry.path().filename().string();
    if (name == "last" || name == "best" || name == last || name == best) continue;
    // Also what a killed process left: half-built folders, links that were not renamed yet.
    if (name.starts_with("step-") || name.find(".tmp") != std::string::npos) {
      std::filesystem::remove_all(entry.path(), error);
    }
  }
}

nlohmann::json read_state(const std::filesystem::path& folder) {
  const auto file = folder / kStateFile;
  auto state = nlohmann::ordered_json::parse(read_file(file, "train"), nullptr, false);
  const auto damaged = [&] {
    return input_error("train",
                       "{}: damaged or altered; restore it, use the other checkpoint (eval and "
                       "predict: --checkpoint best|last) or train again",
                       file.string());
  };
  if (!state.is_object() || !state.contains("checksum")) throw damaged();
  const auto sum = state["checksum"];
  state.erase("checksum");
  if (!sum.is_string() || sha256(state.dump()) != sum.get<std::string>()) throw damaged();
  return state;
}

std::filesystem::path find_checkpoint(const RunDirectory& directory, const std::string& name) {
  if (!has_checkpoint(directory, name)) {
    const std::string other = name == "best" ? "last" : "best";
    throw input_error(
        "train", "{}: has no checkpoint {} yet; {}", directory.root().string(), name,
        has_checkpoint(directory, other) ? "use --checkpoint " + other : "nothing was saved there");
  }
  std::error_code error;
  const auto link = directory.checkpoints() / name;
  const auto folder = std::filesystem::canonical(link, error);
  if (error) {
    throw input_error("train",
                      "{}: points at {}, which is missing; restore that folder or start a new run",
                      link.string(), link_target(link));
  }
  return folder;
}

/// Points `best` at `last`, where the process died after pointing `last` at a checkpoint that is
/// also the best.
void finish_saving(const RunDirectory& directory, const std::string& name,
                   const nlohmann::json& state) {
  const auto target = link_target(directory.checkpoints() / "last");
  const auto best = directory.checkpoints() / "best";
  if (name != "last" || !state.value("best", false) || link_target(best) == target) return;
  replace_link(best, target);
}

/// One safetensors file of a checkpoint, checked against its recorded sum.
TensorMap read_tensors(const std::filesystem::path& folder, const nlohmann::json& state,
                       const char* file) {
  return load_safetensors(folder / file, state.at("files").at(file).get<std::string>());
}

CheckpointPlace read_place(const nlohmann::json& state) {
  return {.epoch = state.at("epoch").get<std::int64_t>(),
          .step_in_epoch = state.at("step_in_epoch").get<std::int64_t>(),
          .step = state.at("step").get<std::int64_t>()};
}

}  // namespace

void save_checkpoint(const RunDirectory& directory, const CheckpointPlace& place,
                     const CheckpointContent& content, bool best) {
  const auto name = folder_name(directory, place.step);
  const auto folder = directory.checkpoints() / name;
  const auto temporary = directory.checkpoints() / fmt::format(".tmp-{}-{}", name, ::getpid());
  std::error_code error;
  try {
    std::filesystem::create_directories(temporary, error);
    if (error) {
      throw run_error("train", "{}: cannot be made: {}", temporary.string(), error.message());
    }
    write_files(temporary, place, content, best);
    sync_directory(temporary);
    std::filesystem::rename(temporary, folder);
  } catch (const std::exception& cause) {
    std::filesystem::remove_all(temporary, error);
    throw run_error("train", "checkpoint of step {} was not saved: {}; the previous one is intact",
                    place.step, cause.what());
  }
  sync_directory(directory.checkpoints());
  replace_link(directory.checkpoints() / "last", name);
  if (best) replace_link(directory.checkpoints() / "best", name);
  sync_directory(directory.checkpoints());
  remove_unused(directory);
}

bool has_checkpoint(const RunDirectory& directory, const std::string& name) {
  std::error_code error;
  return std::filesystem::exists(
      std::filesystem::symlink_status(directory.checkpoints() / name, error));
}

bool is_same_checkpoint(const RunDirectory& directory, const std::string& one,
                        const std::string& other) {
  const auto target = link_target(directory.checkpoints() / one);
  return !target.empty() && target == link_target(directory.checkpoints() / other);
}

CheckpointPlace load_checkpoint_model(const RunDirectory& directory, const std::string& name,
                                      Classifier& model) {
  const auto folder = find_checkpoint(directory, name);
  const auto state = read_state(folder);
  load_model_tensors(model, read_tensors(folder, state, kModelFile),
                     (folder / kModelFile).string());
  return read_place(state);
}

CheckpointPlace load_checkpoint(const RunDirectory& directory, const std::string& name,
                                const CheckpointContent& content) {
  const auto folder = find_checkpoint(directory, name);
  const auto state = read_state(folder);
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
  finish_saving(directory, name, state);
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
