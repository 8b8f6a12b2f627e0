#include <fmt/format.h>

#include "xception/report/document.h"

namespace xception {
namespace {

/// Text that Markdown and HTML leave as it is.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '<':
        result += "&lt;";
        break;
      case '&':
        result += "&amp;";
        break;
      case '\n':
        result += ' ';
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
  for (const auto& cell : cells) text += " " + escaped(cell) + " |";
  return text + "\n";
}

struct Writer {
  std::string text = {};

  void operator()(const Heading& heading) {
    text += std::string(static_cast<std::size_t>(heading.level), '#') + " " +
            escaped(heading.text) + "\n\n";
  }
  void operator()(const Paragraph& paragraph) {
    const auto content = escaped(paragraph.text);
    text += (paragraph.strong ? "**" + content + "**" : content) + "\n\n";
  }
  void operator()(const List& list) {
    for (const auto& item : list.items) text += "- " + escaped(item) + "\n";
    text += "\n";
  }
  void operator()(const Table& table) {
    text += row_text(table.header) + "|---|";
    for (std::size_t i = 1; i < table.header.size(); ++i) text += "---:|";
    text += "\n";
    for (const auto& row : table.rows) text += row_text(row);
    text += "\n";
  }
  void operator()(const FigureRow& row) {
    for (const auto& figure : row.figures) {
      text += fmt::format("![{}](figures/{})\n", escaped(figure.text), figure.file);
    }
    text += "\n";
  }
};

}  // namespace

std::string to_markdown(const Document& document) {
  Writer writer;
  writer(Heading{1, document.title});
  for (const auto& block : document.blocks) std::visit(writer, block);
  while (writer.text.ends_with("\n\n")) writer.text.pop_back();
  return writer.text;
}

}  // namespace xception
