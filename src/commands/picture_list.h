#pragma once

#include <string>
#include <vector>

namespace xception {

/// A picture to classify, or why an argument names none.
struct ListedPicture {
  std::string name;     ///< a path, or `-`: standard input
  std::string problem;  ///< in one line; empty for a picture, which may still turn out to be bad
  std::string folder =
      {};  ///< the name of the folder that has it, if an argument was a folder above
};

/// The pictures that the arguments of `predict` name, in their order: files; folders (recursively,
/// sorted, each once, hidden ones left out; in them those whose names end as images do);
/// patterns that the shell left alone; `@FILE` and `@-`, lists of files and folders; `-`. A path
/// that exists is taken literally.
[[nodiscard]] std::vector<ListedPicture> list_pictures(const std::vector<std::string>& arguments);

}  // namespace xception
