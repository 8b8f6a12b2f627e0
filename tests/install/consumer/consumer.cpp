// A program of somebody else's: builds a model by name and runs it.
#include <ATen/ops/rand.h>

#include <cstdio>

#include "xception/models/registry.h"
#include "xception/models/xception.h"

int main() {
  xception::ModelConfig config;
  config.name = "xception";
  config.own<xception::WidthOptions>().width = 0.25;
  config.num_classes = 10;

  auto model = xception::build_model(config);
  model->eval();
  const at::Tensor logits = model->forward(at::rand({1, 3, 71, 71})).logits;

  std::printf("logits: %lld x %lld\n", static_cast<long long>(logits.size(0)),
              static_cast<long long>(logits.size(1)));
  return logits.size(1) == 10 ? 0 : 1;
}
