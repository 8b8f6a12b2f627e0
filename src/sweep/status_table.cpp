#include "status_table.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "xception/core/format.h"
#include "xception/core/log.h"

namespace xception {
namespace {

constexpr std::size_t kMostRows = 24;  // of a live table that shows every trial

/// Seconds until all is done, if every trial goes on as those before did; below 0: nobody knows.
double seconds_left(const SweepDescription& description, const std::vector<TrialStatus>& trials) {
  double seconds = 0.0;
  std::int64_t epochs = 0;
  double left = 0.0;
  std::int64_t running = 0;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const auto state = trials[i].state;
    const auto& result = trials[i].result;
    if (result.epochs > 0) {
      seconds += result.train_seconds;
      epochs += result.epochs;
    }
    if (state == TrialState::running) ++running;
    const bool over = state == TrialState::complete || state == TrialState::failed ||
                      (state == TrialState::paused && description.halving);
    if (!over) left += static_cast<double>(description.trials[i].epochs - result.epochs);
  }
  if (epochs == 0 || running == 0) return -1.0;
  return left * seconds / static_cast<double>(epochs) / static_cast<double>(running);
}

/// Until a trial ends, if it goes on as before; empty where nobody knows.
std::string time_left(const SweepDescription::Entry& trial, const TrialStatus& status) {
  const auto& result = status.result;
  if (status.state != TrialState::running || result.epochs == 0) return "";
  const auto epoch = result.train_seconds / static_cast<double>(result.epochs);
  return format_duration(epoch * static_cast<double>(trial.epochs - result.epochs));
}

std::string row(const SweepDescription::Entry& trial, const TrialStatus& status,
                std::size_t width) {
  const auto& result = status.result;
  return fmt::format("{:<{}}  {:<11}  {:>4}/{:<4}  {:>10}  {:<8}  {:>8}  {}", trial.name, width,
                     state_name(status.state), result.epochs, trial.epochs,
                     result.metric ? fmt::format("{:.4f}", *result.metric) : "-",
                     status.device.empty() ? "-" : status.device, time_left(trial, status),
                     status.state == TrialState::complete ? "" : status.reason);
}

}  // namespace

std::vector<std::string> status_lines(const SweepDescription& description,
                                      const std::vector<TrialStatus>& trials, bool live) {
  std::size_t width = 5;
  for (const auto& trial : description.trials) width = std::max(width, trial.name.size());
  std::vector<std::string> lines = {fmt::format("{:<{}}  {:<11}  {:>9}  {:>10}  {:<8}  {:>8}",
                                                "trial", width, "state", "epoch", "metric",
                                                "device", "left")};
  std::map<TrialState, std::int64_t> counts;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    ++counts[trials[i].state];
    if (live && trials.size() > kMostRows && trials[i].state != TrialState::running) continue;
    lines.push_back(row(description.trials[i], trials[i], width));
  }
  std::string sum;
  for (const auto& [state, count] : counts) {
    sum += (sum.empty() ? "" : ", ") + fmt::format("{} {}", count, state_name(state));
  }
  const auto left = seconds_left(description, trials);
  if (left >= 0) sum += "; about " + format_duration(left) + " left";
  lines.push_back(sum);
  return lines;
}

std::vector<TrialStatus> read_all(const SweepDirectory& directory,
                                  const SweepDescription& description) {
  std::vector<TrialStatus> all;
  for (const auto& trial : description.trials) {
    all.push_back(read_status(directory, description, trial));
  }
  return all;
}

void StatusTable::show(const SweepDirectory& directory, const SweepDescription& description) {
  const auto now = std::chrono::steady_clock::now();
  if (!StatusLine::available() || now - last_ < std::chrono::milliseconds(500)) return;
  last_ = now;
  draw(status_lines(description, read_all(directory, description), /*live=*/true));
}

void StatusTable::draw(const std::vector<std::string>& lines) {
  winsize window{};
  std::size_t columns = 100;
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
    columns = window.ws_col;
  clear();
  for (const auto& line : lines) std::fprintf(stderr, "%s\n", line.substr(0, columns - 1).c_str());
  std::fflush(stderr);
  lines_ = lines.size();
}

void StatusTable::clear() {
  if (lines_ == 0) return;
  // Up, and everything from there on away.
  std::fprintf(stderr, "\033[%zuA\033[J", lines_);
  std::fflush(stderr);
  lines_ = 0;
}

}  // namespace xception
