#include "xception/models/kernel_choice.h"

#include "xception/core/error.h"

namespace xception {
namespace {

std::vector<KernelUser*> users_in(torch::nn::Module& network) {
  std::vector<KernelUser*> users;
  if (auto* user = dynamic_cast<KernelUser*>(&network)) users.push_back(user);
  for (const auto& module : network.modules(/*include_self=*/false)) {
    if (auto* user = dynamic_cast<KernelUser*>(module.get())) users.push_back(user);
  }
  return users;
}

}  // namespace

const char* kernels_name(Kernels kernels) {
  return kernels == Kernels::fused ? "fused" : "reference";
}

void use_kernels(torch::nn::Module& network, Kernels kernels) {
  for (auto* user : users_in(network)) user->use_kernels(kernels);
}

std::optional<Kernels> parse_kernels(const std::string& name) {
  if (name == "auto") return std::nullopt;
  if (name == "reference") return Kernels::reference;
  if (name == "fused") return Kernels::fused;
  throw input_error("models", "train.kernels: \"{}\", expected auto, reference or fused", name);
}

ReferenceKernels::ReferenceKernels(torch::nn::Module& network) {
  for (auto* user : users_in(network)) {
    if (user->kernels() == Kernels::fused) fused_.push_back(user);
  }
  for (auto* user : fused_) user->use_kernels(Kernels::reference);
}

ReferenceKernels::~ReferenceKernels() {
  for (auto* user : fused_) user->use_kernels(Kernels::fused);
}

}  // namespace xception
