#include "keras_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <tuple>

#include "hdf5_file.h"
#include "xception/core/error.h"
#include "xception/core/readable.h"

namespace xception {
namespace {

constexpr std::size_t kDeepestGroup = 8;
constexpr std::size_t kMostTensors = 100'000;

struct Variable {
  std::string name;  ///< LAYER/VARIABLE
  Hdf5Dataset dataset;
};
using Variables = std::vector<Variable>;

/// `model/block1_conv1_bn/gamma:0` -> `block1_conv1_bn/gamma`: of a model within a layer.
std::string last_parts(std::string name) {
  const auto last = name.rfind('/');
  if (last != std::string::npos && last > 0) name.erase(0, name.rfind('/', last - 1) + 1);
  return name.substr(0, name.find(':'));
}

void add(Variables& variables, const Hdf5File& file, Hdf5Handle object, const std::string& name) {
  if (H5Iget_type(object.get()) != H5I_DATASET) return;
  auto dataset = file.dataset(std::move(object), name);
  if (!dataset.dtype.empty()) variables.push_back({name, std::move(dataset)});
}

/// What the variables of a layer are, by their number and shapes, as Keras itself goes by their
/// order: `.weights.h5` only counts them, and old files have other names. Empty: an unknown layer.
std::vector<std::string> roles(const Variables& of_layer) {
  std::vector<std::size_t> ranks;
  for (const auto& variable : of_layer) ranks.push_back(variable.dataset.shape.size());
  const auto is = [&](const std::vector<std::size_t>& expected) { return ranks == expected; };
  if (is({1, 1, 1, 1})) return {"gamma", "beta", "moving_mean", "moving_variance"};
  if (is({4, 4})) return {"depthwise_kernel", "pointwise_kernel"};
  if (is({4, 4, 1})) return {"depthwise_kernel", "pointwise_kernel", "bias"};
  if (is({4}) || is({2})) return {"kernel"};
  if (is({4, 1}) || is({2, 1})) return {"kernel", "bias"};
  return {};
}

/// Adds a layer's variables under their final names.
void add_layer(Variables& variables, Variables of_layer, const std::string& layer) {
  const auto meant = roles(of_layer);
  for (std::size_t i = 0; i < of_layer.size(); ++i) {
    auto& name = of_layer[i].name;
    name = meant.empty() ? last_parts(layer + "/" + name) : layer + "/" + meant[i];
    variables.push_back(std::move(of_layer[i]));
  }
}

/// layer_names and weight_names.
Variables read_named(const Hdf5File& file, hid_t model, const InputFile& input) {
  Variables variables;
  for (const auto& layer : file.words(model, "layer_names")) {
    const auto group = file.open(model, layer);
    if (!Hdf5File::is_group(group)) {
      throw input_error("weights", "{}: layer {} is missing; the file is damaged", input.name(),
                        readable(layer));
    }
    Variables of_layer;
    for (const auto& weight : file.words(group.get(), "weight_names")) {
      auto object = file.open(group.get(), weight);
      if (!object || variables.size() + of_layer.size() >= kMostTensors) {
        throw input_error("weights", "{}: weight {} is missing; the file is damaged", input.name(),
                          readable(weight));
      }
      add(of_layer, file, std::move(object), weight);
    }
    add_layer(variables, std::move(of_layer), layer);
  }
  return variables;
}

/// `conv2d_10` comes after `conv2d_9`: Keras numbers the layers of a class in the model's order.
std::tuple<std::string, std::size_t, std::string> by_number(const std::string& name) {
  constexpr std::size_t kDigits = 9;
  auto begin = name.size();
  while (begin > 0 && name[begin - 1] >= '0' && name[begin - 1] <= '9') --begin;
  const auto digits = name.substr(begin);
  const bool numbered = !digits.empty() && digits.size() <= kDigits;
  auto stem = numbered ? name.substr(0, begin) : name;
  if (numbered && stem.ends_with('_')) stem.pop_back();
  return {stem, numbered ? std::stoul(digits) : 0, name};
}

void read_vars(const Hdf5File& file, hid_t vars, std::string layer, Variables& variables) {
  const auto given = file.words(vars, "name");
  if (given.size() == 1 && !given[0].empty()) layer = given[0];
  auto names = file.names(vars);
  std::sort(names.begin(), names.end(),
            [](const auto& a, const auto& b) { return by_number(a) < by_number(b); });
  Variables of_layer;
  for (const auto& name : names) {
    if (auto object = file.open(vars, name)) add(of_layer, file, std::move(object), name);
  }
  add_layer(variables, std::move(of_layer), layer);
}

/// Groups within groups; a layer is one that has the group `vars`.
void read_numbered(const Hdf5File& file, hid_t group, const std::string& name, std::size_t depth,
                   Variables& variables) {
  if (depth > kDeepestGroup || variables.size() >= kMostTensors) return;
  auto names = file.names(group);
  std::sort(names.begin(), names.end(),
            [](const auto& a, const auto& b) { return by_number(a) < by_number(b); });
  for (const auto& inner : names) {
    const auto object = file.open(group, inner);
    if (!Hdf5File::is_group(object)) continue;
    if (inner == "vars") {
      read_vars(file, object.get(), name, variables);
    } else {
      read_numbered(file, object.get(), inner, depth + 1, variables);
    }
  }
}

void write_all(int output, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(output, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      throw run_error("weights", "no memory for the weights: {}",
                      std::generic_category().message(errno));
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void write(const Hdf5File& file, const InputFile& input, Variables& variables,
           const std::string& format, int output) {
  auto header = nlohmann::json::object();
  std::string order;
  std::uint64_t place = 0;
  for (const auto& [name, dataset] : variables) {
    const bool printable = readable(name) == name;
    if (!printable || header.contains(name)) {
      throw input_error("weights", "{}: weight {} {}; the file is damaged", input.name(),
                        readable(name), printable ? "is there twice" : "has an odd name");
    }
    const auto end = place + dataset.bytes;
    header[name] = {
        {"dtype", dataset.dtype}, {"shape", dataset.shape}, {"data_offsets", {place, end}}};
    place = end;
    order += name + "\n";
  }
  header["__metadata__"] = {{"order", order}, {"format", format}};
  const auto text = header.dump();
  std::string length;
  for (std::size_t i = 0; i < 8; ++i) {
    length.push_back(static_cast<char>((text.size() >> (8 * i)) & 0xFF));
  }
  write_all(output, length);
  write_all(output, text);
  for (const auto& [name, dataset] : variables) write_all(output, file.read(dataset, name));
}

}  // namespace

bool is_hdf5(const InputFile& file) {
  const std::string signature("\x89HDF\r\n\x1A\n", 8);
  return file.size() >= signature.size() && file.read(0, signature.size()) == signature;
}

void write_keras_weights(const InputFile& file, int output) {
  const Hdf5File hdf5(file);
  Variables variables;
  std::string format = "Keras HDF5";
  const auto inner = hdf5.open(hdf5.root(), "model_weights");
  const auto model = Hdf5File::is_group(inner) ? inner.get() : hdf5.root();
  variables = read_named(hdf5, model, file);
  if (variables.empty()) {
    format = "Keras 3 weights (HDF5)";
    read_numbered(hdf5, hdf5.root(), "model", 0, variables);
  }
  if (variables.empty()) {
    throw input_error("weights",
                      "{}: an HDF5 file without the weights of a Keras model; save it with "
                      "model.save_weights",
                      file.name());
  }
  // Groups may hold one dataset under many names.
  std::uint64_t all = 0;
  for (const auto& variable : variables) all += variable.dataset.bytes;
  constexpr std::uint64_t kMostTimes = 16;
  if (all > kMostTimes * file.size()) {
    throw input_error("weights",
                      "{}: its weights would take {} bytes, the file has {}; it is damaged",
                      file.name(), all, file.size());
  }
  write(hdf5, file, variables, format, output);
}

}  // namespace xception
