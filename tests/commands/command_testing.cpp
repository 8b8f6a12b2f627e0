#include "commands/command_testing.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>

#include "support/temporary_folder.h"
#include "xception/data/cifar10.h"
#include "xception/data/synthetic.h"

namespace xception {
namespace {

namespace fs = std::filesystem;

/// What the tests of one process share.
const fs::path& shared_folder() {
  static const TemporaryFolder folder;
  return folder.path;
}

std::string described(const ProcessResult& result) {
  std::ostringstream text;
  text << "exit code " << result.exit_code << "\nstandard error: " << result.err
       << "\nend of standard output: "
       << result.out.substr(result.out.size() - std::min<std::size_t>(result.out.size(), 2000));
  return text.str();
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  if (text.ends_with(separator) && separator == ',') parts.emplace_back();
  return parts;
}

}  // namespace

Arguments xception_command(const Arguments& arguments) {
  Arguments command = {environment_variable("XCEPTION_BINARY")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

ProcessResult run_xception(const Arguments& arguments, const ProcessOptions& options) {
  return Process(xception_command(arguments), options).wait();
}

const fs::path& small_data() {
  static const fs::path folder = [] {
    const auto data = shared_folder() / "data";
    write_cifar10(data, synthesize_cifar10(/*seed=*/0, 300, 60));
    return data;
  }();
  return folder;
}

const fs::path& complete_run() {
  static const fs::path folder = [] {
    const auto run = shared_folder() / "run";
    const auto result = run_xception(train_arguments(run, {"train.epochs=2"}));
    if (result.exit_code != 0) throw std::runtime_error("no run: " + described(result));
    return run;
  }();
  return folder;
}

Arguments train_arguments(const fs::path& out, const Arguments& more) {
  Arguments arguments = {"train",
                         "--data",
                         small_data().string(),
                         "--out",
                         out.string(),
                         "--device",
                         "cpu",
                         "model.width=0.125",
                         "model.middle_blocks=0",
                         "data.image_size=71",
                         "data.validation_size=40",
                         "train.batch_size=32",
                         "train.log_interval=1",
                         "parallel.threads=1"};
  return with_overrides(std::move(arguments), more);
}

Arguments with_overrides(Arguments arguments, const Arguments& more) {
  for (const auto& word : more) {
    const auto key = word.substr(0, word.find('=') + 1);
    if (!key.empty() && !word.starts_with('-')) {
      std::erase_if(arguments, [&](const auto& earlier) { return earlier.starts_with(key); });
    }
    arguments.push_back(word);
  }
  return arguments;
}

fs::path CommandTest::write(const std::string& name, std::string_view content) const {
  const auto file = folder / name;
  fs::create_directories(file.parent_path());
  fs::remove(file);
  std::ofstream(file, std::ios::binary).write(content.data(), std::ssize(content));
  return file;
}

fs::path CommandTest::copied_data() const {
  fs::copy(small_data(), folder / "data", fs::copy_options::recursive);
  return folder / "data";
}

fs::path CommandTest::copied_run() const {
  fs::copy(complete_run(), folder / "run",
           fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  return folder / "run";
}

testing::AssertionResult fails(const ProcessResult& result, int code,
                               const std::vector<std::string>& words) {
  std::string problem;
  if (result.exit_code != code) problem += "expected exit code " + std::to_string(code) + "\n";
  if (!result.err.starts_with("error: ") || !result.err.ends_with('\n') ||
      std::count(result.err.begin(), result.err.end(), '\n') != 1) {
    problem += "expected one line on standard error\n";
  }
  for (const auto& word : words) {
    if (result.err.find(word) == std::string::npos) problem += "expected in it: " + word + "\n";
  }
  if (problem.empty()) return testing::AssertionSuccess() << described(result);
  return testing::AssertionFailure() << problem << described(result);
}

testing::AssertionResult succeeds(const ProcessResult& result) {
  if (result.exit_code == 0 && result.err.empty()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << described(result);
}

int count_of(const std::string& text, const std::string& part) {
  int count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

int progress_lines(const std::string& text) {
  return count_of(text, " left  ");
}

void expect_same_files(const fs::path& run, const fs::path& expected,
                       const std::vector<std::string>& names) {
  for (const auto& name : names) {
    const auto content = content_of(run / name);
    EXPECT_FALSE(content.empty()) << name;
    EXPECT_TRUE(content == content_of(expected / name)) << name << " differs";
  }
}

void stop_and_go_on(Arguments arguments, int lines) {
  arguments.emplace_back("--resume");
  Process process(xception_command(arguments));
  process.wait_until([&] { return progress_lines(process.output()) >= lines; });
  process.send(SIGTERM);
  EXPECT_EQ(process.wait().exit_code, 128 + SIGTERM);
  EXPECT_TRUE(succeeds(run_xception(arguments)));
}

void expect_same_run(const fs::path& run, const fs::path& expected) {
  expect_same_files(run, expected,
                    {"checkpoints/last/model.safetensors", "checkpoints/last/optimizer.safetensors",
                     "checkpoints/best/model.safetensors", "predictions-best-test.safetensors"});
  const auto rows = csv_rows(run / "history.csv");
  const auto others = csv_rows(expected / "history.csv");
  ASSERT_EQ(rows.size(), others.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (const auto* name : {"train_loss", "train_acc", "val_loss", "val_acc", "learning_rate"}) {
      EXPECT_EQ(rows[i].at(name), others[i].at(name)) << name << " of epoch " << i + 1;
    }
  }
}

nlohmann::json json_of(const fs::path& file) {
  return nlohmann::json::parse(content_of(file));
}

std::vector<nlohmann::json> csv_rows(const fs::path& file) {
  const auto lines = split(content_of(file), '\n');
  std::vector<nlohmann::json> rows;
  if (lines.empty()) return rows;
  const auto names = split(lines.front(), ',');
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto cells = split(lines[i], ',');
    EXPECT_EQ(cells.size(), names.size()) << lines[i];
    nlohmann::json row;
    for (std::size_t c = 0; c < std::min(names.size(), cells.size()); ++c) row[names[c]] = cells[c];
    rows.push_back(std::move(row));
  }
  return rows;
}

nlohmann::json read_events(const fs::path& run, bool all) {
  const auto script =
      fs::path(environment_variable("XCEPTION_SOURCE_DIR")) / "tests/python/read_events.py";
  const auto result = Process({environment_variable("XCEPTION_TEST_PYTHON"), "-B", script.string(),
                               run.string(), all ? "--all" : ""})
                          .wait();
  if (result.exit_code != 0) throw std::runtime_error("no events: " + described(result));
  return nlohmann::json::parse(result.out);
}

std::vector<std::string> keys_of(const nlohmann::json& object) {
  std::vector<std::string> keys;
  for (const auto& item : object.items()) keys.push_back(item.key());
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::map<std::string, std::string> snapshot(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_symlink()) {
      files[entry.path().string()] = "-> " + fs::read_symlink(entry.path()).string();
    } else if (entry.is_regular_file()) {
      files[entry.path().string()] = content_of(entry.path());
    }
  }
  return files;
}

void flip_bit(const fs::path& file) {
  auto content = content_of(file);
  if (content.empty()) throw std::runtime_error(file.string() + " is empty");
  char& byte = content[content.size() / 2];
  byte = static_cast<char>(byte ^ 1);
  std::ofstream(file, std::ios::binary).write(content.data(), std::ssize(content));
}

}  // namespace xception
