#pragma once

#include <string>
#include <vector>

// Names of any length, in any script, as tables and charts can show them.
namespace xception {

/// The widest name in a chart and in place of a run's folder, in columns of a terminal: a Latin
/// letter takes one, a Chinese one two.
inline constexpr std::size_t kNameColumns = 24;

/// The text in one line, without what no document bears: control characters, marks that turn the
/// direction of writing, and bytes that aren't UTF-8 become U+FFFD.
[[nodiscard]] std::string printable(const std::string& text);

/// How many columns a text takes.
[[nodiscard]] std::size_t columns_of(const std::string& text);

/// The text in at most so many columns, with an ellipsis for its middle.
[[nodiscard]] std::string shortened(const std::string& text, std::size_t columns);

/// All of them in at most so many columns, and different where the texts are.
[[nodiscard]] std::vector<std::string> shortened(const std::vector<std::string>& texts,
                                                 std::size_t columns);

/// What the texts begin with in common, without a word or number that is cut, `seed`, and the
/// separator before it; perhaps nothing.
[[nodiscard]] std::string common_start(const std::vector<std::string>& texts);

}  // namespace xception
