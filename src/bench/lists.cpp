#include "xception/bench/lists.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "xception/core/error.h"

namespace xception {

std::vector<std::string> parse_words(const std::string& option, const std::string& text) {
  std::vector<std::string> words;
  std::size_t start = 0;
  while (start <= text.size()) {
    const auto comma = std::min(text.find(',', start), text.size());
    const auto word = text.substr(start, comma - start);
    if (word.empty()) {
      throw input_error("bench", "{} \"{}\": an item is empty; expected a list such as a,b,c",
                        option, text);
    }
    if (std::find(words.begin(), words.end(), word) != words.end()) {
      throw input_error("bench", "{} \"{}\": {} is there twice; expected it once", option, text,
                        word);
    }
    words.push_back(word);
    start = comma + 1;
  }
  return words;
}

std::vector<std::int64_t> parse_numbers(const std::string& option, const std::string& text,
                                        std::int64_t low, std::int64_t high) {
  std::vector<std::int64_t> numbers;
  for (const auto& word : parse_words(option, text)) {
    std::int64_t number = 0;
    const auto* end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data(), end, number);
    if (error != std::errc() || stop != end || number < low || number > high) {
      throw input_error("bench", "{}: found \"{}\", expected whole numbers of {} .. {}", option,
                        word, low, high);
    }
    numbers.push_back(number);
  }
  return numbers;
}

}  // namespace xception
