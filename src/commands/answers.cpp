#include "answers.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "subcommands.h"
#include "xception/core/error.h"
#include "xception/core/log.h"

namespace xception {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto kReplace = nlohmann::json::error_handler_t::replace;

/// A name or message in one line, whatever a file is called.
std::string in_one_line(const std::string& text) {
  std::string line;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    line += code < 0x20 || code == 0x7F ? fmt::format("\\x{:02x}", code) : std::string(1, c);
  }
  return line;
}

/// RFC 4180: in quotes where it must be.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

Json json_of(const std::vector<RankedClass>& top) {
  auto list = Json::array();
  for (const auto& item : top) {
    list.push_back(
        {{"class", item.number}, {"label", item.label}, {"probability", item.probability}});
    if (item.plain) list.back()["plain_probability"] = *item.plain;
  }
  return list;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

/// An element as it stands in the whole array's text, without the array's own brackets.
void print_element(const Json& element, bool first) {
  const auto text = Json::array({element}).dump(2, ' ', false, kReplace);
  print(first ? "[\n" : ",\n");
  print(text.substr(2, text.size() - 4));
}

}  // namespace

std::vector<RankedClass> top_classes(const torch::Tensor& probabilities, const torch::Tensor& plain,
                                     const std::vector<std::string>& names, std::int64_t count) {
  const auto [values, classes] = probabilities.topk(std::min(count, probabilities.size(0)));
  std::vector<RankedClass> top;
  for (std::int64_t i = 0; i < values.size(0); ++i) {
    const auto number = classes[i].item<std::int64_t>();
    top.push_back({number, names.at(static_cast<std::size_t>(number)), values[i].item<float>()});
    if (plain.defined()) top.back().plain = plain[number].item<float>();
  }
  return top;
}

Answers::Answers(AnswerFormat format, bool with_views) : format_(format), with_views_(with_views) {
  if (format_ != AnswerFormat::csv) return;
  print(fmt::format("image,rank,class,label,probability,{}error\n",
                    with_views_ ? "plain_probability," : ""));
}

void Answers::add(const std::string& image, const std::vector<RankedClass>& top) {
  switch (format_) {
    case AnswerFormat::text: {
      std::string line = in_one_line(image) + ": ";
      for (const auto& item : top) {
        line += fmt::format("{}{} {:.1f} %", &item == &top.front() ? "" : ", ", item.label,
                            100.0 * item.probability);
        if (item.plain) line += fmt::format(" (plain {:.1f} %)", 100.0 * *item.plain);
      }
      spdlog::info("{}", line);
      break;
    }
    case AnswerFormat::json:
      print_element({{"image", image}, {"top", json_of(top)}}, std::exchange(first_, false));
      break;
    case AnswerFormat::jsonl:
      print(Json{{"image", image}, {"top", json_of(top)}}.dump(-1, ' ', false, kReplace) + "\n");
      break;
    case AnswerFormat::csv:
      for (std::size_t i = 0; i < top.size(); ++i) {
        print(fmt::format("{},{},{},{},{},{}\n", csv_field(image), i + 1, top[i].number,
                          csv_field(top[i].label), top[i].probability,
                          top[i].plain ? fmt::format("{},", *top[i].plain) : ""));
      }
      break;
  }
}

void Answers::add_problem(const std::string& image, const std::string& problem) {
  print_error(in_one_line(problem));
  const Json element = {{"image", image}, {"error", problem}};
  if (format_ == AnswerFormat::json) print_element(element, std::exchange(first_, false));
  if (format_ == AnswerFormat::jsonl) print(element.dump(-1, ' ', false, kReplace) + "\n");
  if (format_ == AnswerFormat::csv) {
    print(fmt::format("{},,,,,{}{}\n", csv_field(image), with_views_ ? "," : "",
                      csv_field(in_one_line(problem))));
  }
}

void Answers::end() {
  if (format_ == AnswerFormat::json) print(first_ ? "[\n]\n" : "\n]\n");
  check_standard_output();
}

}  // namespace xception
