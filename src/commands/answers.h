#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace xception {

/// A class of a picture, as `predict` answers it.
struct RankedClass {
  std::int64_t number = 0;
  std::string label;
  float probability = 0;
  std::optional<float> plain = {};  ///< that of the picture alone, where `probability` is of views
};

/// The most probable classes, the first first. probabilities: float32 (classes), CPU. plain:
/// likewise, of the pictures alone; undefined: there are no views.
[[nodiscard]] std::vector<RankedClass> top_classes(const torch::Tensor& probabilities,
                                                   const torch::Tensor& plain,
                                                   const std::vector<std::string>& names,
                                                   std::int64_t count);

/// How answers are printed.
enum class AnswerFormat {
  text,   ///< a line a picture
  json,   ///< one array
  jsonl,  ///< an object a line
  csv,    ///< a line for each class of a picture, after a line of names
};

/// Prints answers on standard output as they come.
class Answers {
 public:
  /// with_views: whether answers have probabilities of pictures alone besides.
  Answers(AnswerFormat format, bool with_views);

  void add(const std::string& image, const std::vector<RankedClass>& top);
  /// Says it on standard error too.
  void add_problem(const std::string& image, const std::string& problem);
  void end();

 private:
  AnswerFormat format_;
  bool with_views_;
  bool first_ = true;
};

}  // namespace xception
