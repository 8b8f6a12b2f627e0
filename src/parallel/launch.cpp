#include "xception/parallel/launch.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <optional>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

#include "process_group.h"
#include "watch.h"
#include "xception/core/child_process.h"
#include "xception/core/error.h"
#include "xception/core/log.h"
#include "xception/core/signals.h"
#include "xception/parallel/device.h"

namespace xception {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kGrace = std::chrono::seconds(5);     // for the other ranks to end by themselves
constexpr auto kCounting = std::chrono::minutes(2);  // of GPUs, the driver's start included

using Kind = DeviceChoice::Kind;

JobPlan plan_rank(const std::string& device, std::int64_t ranks, const RankInfo& place) {
  if (ranks > 0 && ranks != place.size) {
    throw input_error("device", "--ranks {}: {} started {} ranks; leave --ranks out", ranks,
                      launcher_name(place.launcher), place.size);
  }
  JobPlan plan;
  plan.place = place;
  const bool all = parse_device_choice(device).kind == Kind::all;
  plan.device = place.is_alone() ? (all ? "auto" : device)
                                 : device_of_rank(device, place, cuda_device_count());
  return plan;
}

/// What a rank's process gets besides the parent's variables.
std::vector<std::string> rank_environment(int rank, int ranks, std::uint16_t port) {
  return child_environment({{"RANK", std::to_string(rank)},
                            {"LOCAL_RANK", std::to_string(rank)},
                            {"WORLD_SIZE", std::to_string(ranks)},
                            {"LOCAL_WORLD_SIZE", std::to_string(ranks)},
                            {"MASTER_ADDR", "localhost"},
                            {"MASTER_PORT", std::to_string(port)},
                            {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                            {"TORCHELASTIC_RUN_ID", "0"},
                            {"TORCHELASTIC_RESTART_COUNT", "0"},
                            {"XCEPTION_LAUNCHER", "self"}});
}

/// The ranks of a job as their parent sees them.
class Ranks {
 public:
  Ranks(int count, const std::vector<std::string>& command_line) {
    store_ = host_store(port_);
    failures_ = c10::make_intrusive<c10d::PrefixStore>("xception/0/0", store_);
    try {
      for (int rank = 0; rank < count; ++rank) {
        ranks_.push_back(ChildProcess::run(
            command_line,
            {.environment = rank_environment(rank, count, port_), .ignores_save_signals = true}));
      }
    } catch (const Error&) {
      send(SIGKILL);
      throw;
    }
    counted_.resize(ranks_.size(), false);
  }

  int wait() {
    while (reap()) {
      const auto [number, from_terminal] = signals_.wait(std::chrono::seconds(1));
      if (is_stop_signal(number)) stop_ = number;
      // A terminal's Ctrl-C reaches the ranks by itself.
      const bool theirs = number == SIGINT && from_terminal;
      if ((is_stop_signal(number) && !theirs) || number == SIGUSR1) send(number);
      if (deadline_ && Clock::now() > *deadline_) {
        ended_by_us_ = true;
        send(SIGKILL);
      }
    }
    return finish();
  }

 private:
  void send(int number) const {
    for (const auto& rank : ranks_) rank.send(number);
  }

  /// Takes note of the ranks that have ended. Returns whether some still run.
  bool reap() {
    bool running = false;
    for (std::size_t i = 0; i < ranks_.size(); ++i) {
      if (!ranks_[i].ended()) {
        running = true;
      } else if (!counted_[i]) {
        counted_[i] = true;
        count(static_cast<int>(i), ranks_[i]);
      }
    }
    return running;
  }

  void count(int rank, const ChildProcess& process) {
    const int number = process.signal();
    // One that was asked to stop before it could save stops as any process does.
    const int code =
        number != 0 && number == stop_ ? 128 + number : process.exit_code().value_or(0);
    if (number != 0 && number != stop_ && !ended_by_us_ && killed_.empty()) {
      killed_ = fmt::format(
          "[parallel] rank {} of {} was killed by signal {} ({}){}; the last checkpoint is intact: "
          "go on with --resume",
          rank, ranks_.size(), number, ::strsignal(number),
          number == SIGKILL ? ", perhaps for want of memory" : "");
      tell(Failure{.rank = rank, .host = "here", .message = killed_, .printed = true});
    }
    // 128 + n: stopped by a signal after saving, which all ranks agree on.
    if ((number != 0 || (code != 0 && code <= 128)) && !deadline_)
      deadline_ = Clock::now() + kGrace;
    if (code != 0 && code_ == 0) code_ = code;
  }

  /// Lets the other ranks know at once why they lose contact.
  void tell(const Failure& failure) {
    try {
      (void)post_failure(*failures_, failure);
    } catch (const std::exception&) {
      // They find out by themselves.
    }
  }

  int finish() {
    if (!killed_.empty()) {
      print_error(killed_);
      return 1;
    }
    const auto failure = read_failure(*failures_);
    if (failure && !failure->printed) print_error(failure->line());
    if (failure) return failure->exit_code;
    return code_ == 0 && ended_by_us_ ? 1 : code_;
  }

  SignalQueue signals_;
  std::uint16_t port_ = 0;
  c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<c10d::Store> failures_;
  std::vector<ChildProcess> ranks_;
  std::vector<bool> counted_;
  std::optional<Clock::time_point> deadline_;
  bool ended_by_us_ = false;
  int stop_ = 0;  ///< the signal that we handed on
  std::string killed_;
  int code_ = 0;
};

}  // namespace

std::int64_t count_gpus_elsewhere() {
  const auto result = run_child({.arguments = {"xception", "count-gpus"}}, kCounting);
  // LibTorch's warnings may come before the number.
  const auto end = result.output.find_last_not_of('\n');
  const auto line = end == std::string::npos ? end : result.output.rfind('\n', end);
  const auto last = result.output.substr(line == std::string::npos ? 0 : line + 1);
  return result.exit_code == 0 ? std::strtoll(last.c_str(), nullptr, 10) : 0;
}

std::string device_of_rank(const std::string& device, const RankInfo& place,
                           std::int64_t visible_gpus) {
  const auto choice = parse_device_choice(device);
  if (choice.kind == Kind::cpu) return device;
  if (choice.several_gpus()) {
    if (static_cast<std::size_t>(place.local_size) != choice.gpus.size()) {
      throw input_error("device",
                        "--device {}: {} GPUs for {} ranks on this machine; expected as many",
                        device, choice.gpus.size(), place.local_size);
    }
    return gpu_name(choice.gpus[static_cast<std::size_t>(place.local_rank)]);
  }
  if (choice.one_gpu() && place.local_size > 1) {
    throw input_error("device",
                      "--device {}: one GPU for {} ranks on this machine; expected all, auto "
                      "or a list",
                      device, place.local_size);
  }
  if (choice.one_gpu() || (visible_gpus == 0 && choice.kind == Kind::cuda)) return device;
  if (visible_gpus == 0) return "cpu";
  // Slurm often shows each task its own GPU alone, which then is number 0 for all of them.
  if (visible_gpus == 1 && place.launcher == Launcher::slurm) return gpu_name(0);
  if (place.local_rank >= visible_gpus) {
    throw input_error("device",
                      "--device {}: {} ranks on this machine, but {} GPUs; start as many ranks as "
                      "GPUs, or --device cpu",
                      device, place.local_size, visible_gpus);
  }
  return gpu_name(place.local_rank);
}

JobPlan plan_job(const std::string& device, std::int64_t ranks, const Environment& environment) {
  if (ranks < 0 || ranks > 1024) {
    throw input_error("device", "--ranks {}: expected 1 to 1024", ranks);
  }
  const auto place = find_rank(environment);
  if (place.launcher != Launcher::none) return plan_rank(device, ranks, place);

  JobPlan plan;
  plan.device = device;
  std::int64_t wanted = std::max<std::int64_t>(1, ranks);
  const auto choice = parse_device_choice(device);
  const bool all = choice.kind == Kind::all;
  if (choice.several_gpus()) {
    wanted = std::ssize(choice.gpus);
  } else if (all || (choice.kind == Kind::automatic && ranks > 1)) {
    const auto gpus = count_gpus_elsewhere();
    if (gpus == 0) {
      plan.device = "cpu";
    } else if (all) {
      wanted = gpus;
      plan.device = gpu_name(0);
    } else if (ranks > gpus) {
      throw input_error(
          "device", "--ranks {}: found {} GPUs; a GPU takes one rank; lower it, or --device cpu",
          ranks, gpus);
    }
  } else if (choice.kind != Kind::cpu && ranks > 1) {
    throw input_error("device",
                      "--device {} --ranks {}: one GPU takes one rank; name as many GPUs, or "
                      "--device all",
                      device, ranks);
  }
  if (ranks > 0 && ranks != wanted) {
    throw input_error("device", "--ranks {}: --device {} means {}; leave --ranks out", ranks,
                      device, wanted);
  }
  if (wanted > 1) plan.to_launch = static_cast<int>(wanted);
  return plan;
}

int launch_ranks(int ranks, const std::vector<std::string>& command_line) {
  return Ranks(ranks, command_line).wait();
}

}  // namespace xception
