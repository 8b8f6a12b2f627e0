#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace xception {

/// The items of `a,b,c`. Errors (input), which name the option: an empty item, one given twice.
[[nodiscard]] std::vector<std::string> parse_words(const std::string& option,
                                                   const std::string& text);

/// Whole numbers of low .. high. Errors (input): as parse_words; not a number, out of range.
[[nodiscard]] std::vector<std::int64_t> parse_numbers(const std::string& option,
                                                      const std::string& text, std::int64_t low,
                                                      std::int64_t high);

}  // namespace xception
