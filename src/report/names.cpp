#include "names.h"

#include <fmt/format.h>

#include <algorithm>
#include <clocale>
#include <cstdint>
#include <cwchar>
#include <cwctype>
#include <map>
#include <set>

namespace xception {
namespace {

constexpr const char* kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr const char* kEllipsis = "\xE2\x80\xA6";     // U+2026
constexpr std::size_t kHead = 4;                      // before an ellipsis
constexpr std::size_t kLongestWord = 8;               // that is kept whole
constexpr const char* kSeparators = " -_.,=+#(";

/// A character with the marks that stand on it.
struct Glyph {
  std::string bytes = {};
  std::size_t columns = 1;
  bool operator==(const Glyph& other) const { return bytes == other.bytes; }
};
using Glyphs = std::vector<Glyph>;

/// The C library knows every character's width, in a locale of UTF-8, which the user's may not be.
class Utf8Locale {
 public:
  Utf8Locale() : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (locale_ != nullptr) before_ = ::uselocale(locale_);
  }
  ~Utf8Locale() {
    if (locale_ == nullptr) return;
    ::uselocale(before_);
    ::freelocale(locale_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t locale_;
  locale_t before_ = nullptr;
};

bool turns_direction(wchar_t character) {
  return (character >= 0x202A && character <= 0x202E) ||
         (character >= 0x2066 && character <= 0x2069) || character == 0x200E || character == 0x200F;
}

Glyphs glyphs_of(const std::string& text) {
  const Utf8Locale locale;
  Glyphs glyphs;
  std::mbstate_t state{};
  for (std::size_t i = 0; i < text.size();) {
    wchar_t character = 0;
    const auto length = std::mbrtowc(&character, text.data() + i, text.size() - i, &state);
    const bool valid = length != 0 && length <= text.size() - i;
    const int width = valid ? ::wcwidth(character) : -1;
    if (valid && std::iswspace(static_cast<std::wint_t>(character)) != 0) {
      glyphs.push_back({.bytes = " "});
    } else if (width < 0 || turns_direction(character)) {
      glyphs.push_back({.bytes = kReplacement});
      state = {};
    } else if (width == 0 && !glyphs.empty()) {
      glyphs.back().bytes.append(text, i, length);
    } else {
      glyphs.push_back(
          {.bytes = text.substr(i, length), .columns = static_cast<std::size_t>(width)});
    }
    i += valid ? length : 1;
  }
  return glyphs;
}

std::size_t columns_of(const Glyphs& glyphs) {
  std::size_t columns = 0;
  for (const auto& glyph : glyphs) columns += glyph.columns;
  return columns;
}

std::string text_of(Glyphs::const_iterator begin, Glyphs::const_iterator end) {
  std::string text;
  for (; begin != end; ++begin) text += begin->bytes;
  return text;
}

/// As many glyphs from the start as fit.
std::string start_of(const Glyphs& glyphs, std::size_t columns) {
  std::string text;
  for (const auto& glyph : glyphs) {
    if (glyph.columns > columns) break;
    columns -= glyph.columns;
    text += glyph.bytes;
  }
  return text;
}

std::string end_of(const Glyphs& glyphs, std::size_t columns) {
  auto begin = glyphs.end();
  while (begin != glyphs.begin() && std::prev(begin)->columns <= columns) {
    --begin;
    columns -= begin->columns;
  }
  return text_of(begin, glyphs.end());
}

std::string with_middle_cut(const Glyphs& glyphs, std::size_t columns) {
  if (columns_of(glyphs) <= columns) return text_of(glyphs.begin(), glyphs.end());
  const auto kept = columns - 1;
  return start_of(glyphs, kept - kept / 2) + kEllipsis + end_of(glyphs, kept / 2);
}

/// How many glyphs all begin with.
std::size_t common_length(const std::vector<Glyphs>& all) {
  auto length = all.front().size();
  for (const auto& glyphs : all) {
    const auto differs =
        std::mismatch(all.front().begin(), all.front().end(), glyphs.begin(), glyphs.end());
    length = std::min(length, static_cast<std::size_t>(differs.first - all.front().begin()));
  }
  return length;
}

std::vector<std::string> with_middles_cut(const std::vector<Glyphs>& all, std::size_t columns) {
  std::vector<std::string> results;
  for (const auto& glyphs : all) results.push_back(with_middle_cut(glyphs, columns));
  return results;
}

bool is_one_of(const Glyph& glyph, const char* characters) {
  return glyph.bytes.size() == 1 &&
         std::string_view(characters).find(glyph.bytes[0]) != std::string_view::npos;
}

/// Where texts begin to differ, or before that where the word or number there begins.
std::size_t start_of_difference(const std::vector<Glyphs>& all) {
  if (all.empty()) return 0;
  const auto common = common_length(all);
  const auto& glyphs = all.front();
  auto start = common;
  while (start > 0 && common - start < kLongestWord && !is_one_of(glyphs[start - 1], kSeparators)) {
    --start;
  }
  return start > 0 && !is_one_of(glyphs[start - 1], kSeparators) ? common : start;
}

/// What all begin with tells nothing apart: an ellipsis in its place.
std::vector<Glyphs> without_common_start(const std::vector<Glyphs>& all) {
  const auto common = static_cast<std::ptrdiff_t>(start_of_difference(all));
  std::vector<Glyphs> results;
  for (const auto& glyphs : all) {
    auto& rest = results.emplace_back(Glyphs{{.bytes = kEllipsis}});
    rest.insert(rest.end(), glyphs.begin() + common, glyphs.end());
  }
  return results;
}

/// Those that look alike without their middles show where they begin to differ.
std::vector<std::string> told_apart(const std::vector<Glyphs>& all, std::size_t columns) {
  auto results = with_middles_cut(all, columns);
  std::map<std::string, std::vector<std::size_t>> alike;
  for (std::size_t i = 0; i < all.size(); ++i) alike[results[i]].push_back(i);
  for (const auto& [name, places] : alike) {
    if (places.size() == 1) continue;
    std::vector<Glyphs> group;
    for (const auto i : places) group.push_back(all[i]);
    const auto start = static_cast<std::ptrdiff_t>(start_of_difference(group));
    const auto head = start_of(group.front(), kHead) + kEllipsis;
    for (const auto i : places) {
      results[i] = head + with_middle_cut(Glyphs(all[i].begin() + start, all[i].end()),
                                          columns - columns_of(glyphs_of(head)));
    }
  }
  return results;
}

bool all_differ(const std::vector<std::string>& texts) {
  return std::set(texts.begin(), texts.end()).size() == texts.size();
}

/// A name that isn't used yet: itself, or with a number.
std::string numbered(const std::string& name, std::size_t columns, std::set<std::string>& used) {
  auto result = name;
  for (int k = 2; !used.insert(result).second; ++k) {
    const auto number = fmt::format("~{}", k);
    result = with_middle_cut(glyphs_of(name), columns - number.size()) + number;
  }
  return result;
}

}  // namespace

std::string printable(const std::string& text) {
  const auto glyphs = glyphs_of(text);
  return text_of(glyphs.begin(), glyphs.end());
}

std::size_t columns_of(const std::string& text) {
  return columns_of(glyphs_of(text));
}

std::string shortened(const std::string& text, std::size_t columns) {
  return with_middle_cut(glyphs_of(text), columns);
}

std::vector<std::string> shortened(const std::vector<std::string>& texts, std::size_t columns) {
  std::map<std::string, std::string> names;
  std::vector<std::string> long_texts;
  std::vector<Glyphs> long_glyphs;
  std::set<std::string> used;
  for (const auto& text : std::set(texts.begin(), texts.end())) {
    auto glyphs = glyphs_of(text);
    if (columns_of(glyphs) > columns) {
      long_texts.push_back(text);
      long_glyphs.push_back(std::move(glyphs));
    } else {
      names[text] = numbered(text_of(glyphs.begin(), glyphs.end()), columns, used);
    }
  }
  auto candidates = with_middles_cut(long_glyphs, columns);
  if (!all_differ(candidates)) {
    candidates = with_middles_cut(without_common_start(long_glyphs), columns);
  }
  if (!all_differ(candidates)) candidates = told_apart(long_glyphs, columns);
  for (std::size_t i = 0; i < long_texts.size(); ++i) {
    names[long_texts[i]] = numbered(candidates[i], columns, used);
  }
  std::vector<std::string> results;
  for (const auto& text : texts) results.push_back(names.at(text));
  return results;
}

std::string common_start(const std::vector<std::string>& texts) {
  std::vector<Glyphs> all;
  for (const auto& text : texts) all.push_back(glyphs_of(text));
  const auto length = common_length(all);
  Glyphs start(all.front().begin(), all.front().begin() + static_cast<std::ptrdiff_t>(length));
  const auto is_cut = [&](const char* characters) {
    return !start.empty() && is_one_of(start.back(), characters) &&
           std::any_of(all.begin(), all.end(), [&](const Glyphs& glyphs) {
             return glyphs.size() > length && is_one_of(glyphs[length], characters);
           });
  };
  for (const auto* kind : {"0123456789", "abcdefghijklmnopqrstuvwxyz"}) {
    if (!is_cut(kind)) continue;
    while (!start.empty() && is_one_of(start.back(), kind)) start.pop_back();
  }
  const auto strip = [&] {
    while (!start.empty() && is_one_of(start.back(), kSeparators)) start.pop_back();
  };
  strip();
  auto text = text_of(start.begin(), start.end());
  if (text.ends_with("seed")) {
    start.resize(start.size() - 4);
    strip();
    text = text_of(start.begin(), start.end());
  }
  return text;
}

}  // namespace xception
