#include <fmt/format.h>

#include "names.h"
#include "xception/report/document.h"

namespace xception {
namespace {

/// Text that Markdown and HTML leave as it is.
std::string markdown_text(const std::string& text) {
  std::string result;
  for (const char c : printable(text)) {
    switch (c) {
      case '<':
        result += "&lt;";
        break;
      case '&':
        result += "&amp;";
        break;
      case '|':
      case '*':
      case '_':
      case '`':
      case '[':
      case ']':
      case '\\':
        result += '\\';
        [[fallthrough]];
      default:
        result += c;
    }
  }
  return result;
}

std::string row_text(const std::vector<std::string>& cells) {
  std::string text = "|";
  for (const auto& cell : cells) text += " " + markdown_text(cell) + " |";
  return text + "\n";
}

struct MarkdownWriter {
  std::string text = {};

  void operator()(const Heading& heading) {
    text += std::string(static_cast<std::size_t>(heading.level), '#') + " " +
            markdown_text(heading.text) + "\n\n";
  }
  void operator()(const Paragraph& paragraph) {
    const auto content = markdown_text(paragraph.text);
    text += (paragraph.strong ? "**" + content + "**" : content) + "\n\n";
  }
  void operator()(const List& list) {
    for (const auto& item : list.items) text += "- " + markdown_text(item) + "\n";
    text += "\n";
  }
  void operator()(const Table& table) {
    text += row_text(table.header) + "|";
    for (std::size_t i = 0; i < table.header.size(); ++i) {
      text += i < table.text_columns ? "---|" : "---:|";
    }
    text += "\n";
    for (const auto& row : table.rows) text += row_text(row);
    text += "\n";
  }
  void operator()(const FigureRow& row) {
    for (const auto& figure : row.figures) {
      // A chart says itself what it shows.
      const bool needs_caption = figure.file.ends_with(".png");
      text += fmt::format("{}![{}](figures/{})\n",
                          needs_caption ? markdown_text(figure.text) + ":\n\n" : "",
                          markdown_text(figure.text), figure.file);
      if (needs_caption) text += "\n";
    }
    text += "\n";
  }
};

}  // namespace

std::string to_markdown(const Document& document) {
  MarkdownWriter writer;
  writer(Heading{1, document.title});
  for (const auto& block : document.blocks) std::visit(writer, block);
  while (writer.text.ends_with("\n\n")) writer.text.pop_back();
  return writer.text;
}

}  // namespace xception
