#include "xception/core/name_pattern.h"

#include <fnmatch.h>

namespace xception {

bool means_name(const std::string& pattern, const std::string& name) {
  for (auto end = name.size(); end != std::string::npos && end > 0;
       end = name.rfind('.', end - 1)) {
    if (::fnmatch(pattern.c_str(), name.substr(0, end).c_str(), 0) == 0) return true;
  }
  return false;
}

}  // namespace xception
