#pragma once

#include <filesystem>
#include <string>
#include <variant>
#include <vector>

namespace xception {

// A report before it is Markdown or HTML. All text is plain; the writers escape it.

struct Heading {
  int level = 2;
  std::string text = {};
};

struct Paragraph {
  std::string text = {};
  bool strong = false;  ///< what a reader in a hurry reads
};

struct List {
  std::vector<std::string> items = {};
};

/// The first columns are text, the others figures. Rows may be set in gray (references).
struct Table {
  std::vector<std::string> header = {};
  std::vector<std::vector<std::string>> rows = {};
  std::size_t gray_rows = 0;     ///< the first ones
  std::size_t text_columns = 1;  ///< likewise
};

/// A picture, by its file's name in the report's folder `figures`.
struct Figure {
  std::string file = {};
  std::string text = {};  ///< what it shows, for those who don't see it and as its caption
};

/// Pictures that are looked at side by side.
struct FigureRow {
  std::vector<Figure> figures = {};
};

using Block = std::variant<Heading, Paragraph, List, Table, FigureRow>;

struct Document {
  std::string title = {};
  std::vector<Block> blocks = {};
};

/// GitHub's Markdown; pictures are linked as figures/FILE.
[[nodiscard]] std::string to_markdown(const Document& document);

/// One HTML page with everything in it: style, and the pictures of `figures` as data; no script, no
/// address but those in its text. Errors (input): a picture is missing.
[[nodiscard]] std::string to_html(const Document& document, const std::filesystem::path& figures);

}  // namespace xception
