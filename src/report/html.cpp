#include <fmt/format.h>

#include <array>
#include <cstdint>

#include "names.h"
#include "xception/core/files.h"
#include "xception/report/document.h"

namespace xception {
namespace {

constexpr const char* kStyle = R"css(
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1400px; padding: 1rem; background: #fff; color: #1b1b1b;
  font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; }
h2 { font-size: 1.3rem; margin-top: 2.2rem; border-bottom: 1px solid #ccc; padding-bottom: .2rem; }
h3 { font-size: 1.05rem; margin-top: 1.6rem; }
p, li { max-width: 75ch; overflow-wrap: anywhere; }
.strong { font-weight: 600; font-size: 1.05rem; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th { border-bottom: 2px solid #888; vertical-align: bottom; }
.text { text-align: left; }
th:first-child, td:first-child { position: sticky; left: 0; background: #fff; }
td { white-space: nowrap; }
td.long { white-space: normal; min-width: 14rem; overflow-wrap: anywhere; }
tr.gray td { color: #666; background: #f6f6f6; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr));
  gap: 1rem; align-items: start; margin: 1rem 0; }
figure { margin: 0; break-inside: avoid; }
figure img { display: block; width: 100%; max-width: 700px; height: auto; }
figure img.pixels { image-rendering: pixelated; max-width: 560px; }
figcaption { font-size: .88rem; color: #555; }
@media print { body { max-width: none; font-size: 11pt; } h2 { break-after: avoid; }
  table { break-inside: avoid; font-size: 8.5pt; } .figures { grid-template-columns: 1fr 1fr; }
  .table { overflow: visible; } td { white-space: normal; } }
)css";

constexpr std::size_t kLongCell = 40;

std::string html_text(const std::string& text) {
  std::string result;
  for (const char c : printable(text)) {
    switch (c) {
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '&':
        result += "&amp;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string base64(const std::string& bytes) {
  constexpr std::array<char, 65> kDigits = {
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"};
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text += i + k > bytes.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63];
    }
  }
  return text;
}

struct HtmlWriter {
  std::filesystem::path figures;
  std::string text = {};

  void operator()(const Heading& heading) {
    text += fmt::format("<h{0}>{1}</h{0}>\n", heading.level, html_text(heading.text));
  }
  void operator()(const Paragraph& paragraph) {
    text += fmt::format("<p{}>{}</p>\n", paragraph.strong ? " class=\"strong\"" : "",
                        html_text(paragraph.text));
  }
  void operator()(const List& list) {
    text += "<ul>\n";
    for (const auto& item : list.items) text += "<li>" + html_text(item) + "</li>\n";
    text += "</ul>\n";
  }
  void operator()(const Table& table) {
    const auto place = [&](std::size_t column) {
      return column < table.text_columns ? " class=\"text\"" : "";
    };
    text += "<div class=\"table\"><table>\n<thead><tr>";
    for (std::size_t c = 0; c < table.header.size(); ++c) {
      text += fmt::format("<th scope=\"col\"{}>{}</th>", place(c), html_text(table.header[c]));
    }
    text += "</tr></thead>\n<tbody>\n";
    for (std::size_t i = 0; i < table.rows.size(); ++i) {
      text += i < table.gray_rows ? "<tr class=\"gray\">" : "<tr>";
      for (std::size_t c = 0; c < table.rows[i].size(); ++c) {
        const auto& cell = table.rows[i][c];
        const auto* style = cell.size() > kLongCell ? " class=\"text long\"" : place(c);
        text += fmt::format("<td{}>{}</td>", style, html_text(cell));
      }
      text += "</tr>\n";
    }
    text += "</tbody>\n</table></div>\n";
  }
  void operator()(const FigureRow& row) {
    text += "<div class=\"figures\">\n";
    for (const auto& figure : row.figures) {
      const bool pixels = figure.file.ends_with(".png");
      text += fmt::format(
          "<figure><img{} alt=\"{}\" src=\"data:image/{};base64,{}\"><figcaption>{}</figcaption>"
          "</figure>\n",
          pixels ? " class=\"pixels\"" : "", html_text(figure.text), pixels ? "png" : "svg+xml",
          base64(read_file(figures / figure.file, "report")), html_text(figure.text));
    }
    text += "</div>\n";
  }
};

}  // namespace

std::string to_html(const Document& document, const std::filesystem::path& figures) {
  HtmlWriter writer{.figures = figures};
  writer(Heading{1, document.title});
  for (const auto& block : document.blocks) std::visit(writer, block);
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n"
      "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
      html_text(document.title), kStyle, writer.text);
}

}  // namespace xception
