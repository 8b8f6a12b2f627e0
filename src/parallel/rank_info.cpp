#include "xception/parallel/rank_info.h"

#include <ATen/Parallel.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "xception/core/error.h"
#include "xception/core/processors.h"

namespace xception {
namespace {

/// Below the ports that Linux gives to outgoing connections.
constexpr std::int64_t kFirstSlurmPort = 15000;
constexpr std::int64_t kSlurmPorts = 15000;

std::optional<std::int64_t> parse_number(const std::string& text) {
  std::int64_t value = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

/// A whole number in [low, high] that must be there.
int required(const Environment& environment, const std::string& name, std::int64_t low,
             std::int64_t high, const std::string& others) {
  const auto text = environment(name);
  const auto value = text ? parse_number(*text) : std::nullopt;
  if (!value || *value < low || *value > high) {
    throw input_error(
        "parallel",
        "{}: found {}, expected a whole number from {} to {}, because {} is set; start "
        "ranks with torchrun, srun, or --device and --ranks",
        name, text.value_or("nothing"), low, high, others);
  }
  return static_cast<int>(*value);
}

bool is_set(const Environment& environment, const std::string& name) {
  return environment(name).has_value();
}

RankInfo place_of_torchrun(const Environment& environment) {
  constexpr std::int64_t most = 1 << 20;
  RankInfo place;
  place.size = required(environment, "WORLD_SIZE", 1, most, "RANK");
  place.rank = required(environment, "RANK", 0, place.size - 1, "WORLD_SIZE");
  const bool self = environment("XCEPTION_LAUNCHER") == "self";
  place.launcher = self ? Launcher::self : Launcher::torchrun;
  place.local_size = is_set(environment, "LOCAL_WORLD_SIZE")
                         ? required(environment, "LOCAL_WORLD_SIZE", 1, place.size, "RANK")
                         : place.size;
  place.local_rank = is_set(environment, "LOCAL_RANK")
                         ? required(environment, "LOCAL_RANK", 0, place.local_size - 1, "RANK")
                         : place.rank;
  place.store_address = environment("MASTER_ADDR").value_or("");
  if (place.store_address.empty()) {
    throw input_error(
        "parallel", "MASTER_ADDR: found nothing, expected the host of rank 0, because RANK is set");
  }
  place.store_port =
      static_cast<std::uint16_t>(required(environment, "MASTER_PORT", 1, 65535, "RANK"));
  // torchrun's agent, like our own launcher, runs the store: rank 0 is a client as the others are.
  const bool hosted = environment("TORCHELASTIC_USE_AGENT_STORE") == "True";
  place.hosts_store = !hosted && place.rank == 0;
  place.store_prefix = "xception/" + environment("TORCHELASTIC_RUN_ID").value_or("0") + "/" +
                       environment("TORCHELASTIC_RESTART_COUNT").value_or("0");
  return place;
}

RankInfo place_of_slurm(const Environment& environment) {
  const std::string step = "SLURM_STEP_NUM_TASKS";
  constexpr std::int64_t most = 1 << 20;
  RankInfo place;
  place.launcher = Launcher::slurm;
  place.size = required(environment, step, 2, most, step);
  place.rank = required(environment, "SLURM_PROCID", 0, place.size - 1, step);
  place.local_rank = required(environment, "SLURM_LOCALID", 0, place.size - 1, step);
  const int node = required(environment, "SLURM_NODEID", 0, place.size - 1, step);
  const auto tasks = environment("SLURM_STEP_TASKS_PER_NODE");
  place.local_size = tasks ? slurm_tasks_on(*tasks, node) : place.local_rank + 1;
  const auto nodes = environment("SLURM_STEP_NODELIST");
  const auto address = environment("MASTER_ADDR");
  if (!nodes && !address) {
    throw input_error(
        "parallel",
        "SLURM_STEP_NODELIST: found nothing, expected the step's nodes, because {} is "
        "set; or set MASTER_ADDR",
        step);
  }
  place.store_address = address ? *address : first_slurm_host(*nodes);
  const auto job = parse_number(environment("SLURM_JOB_ID").value_or("0")).value_or(0);
  const auto number = parse_number(environment("SLURM_STEP_ID").value_or("0")).value_or(0);
  place.store_port = static_cast<std::uint16_t>(
      is_set(environment, "MASTER_PORT")
          ? required(environment, "MASTER_PORT", 1, 65535, step)
          : kFirstSlurmPort + (job * 31 + number % kSlurmPorts + kSlurmPorts) % kSlurmPorts);
  place.hosts_store = place.rank == 0;
  place.store_prefix = fmt::format("xception/slurm-{}.{}-{}", job, number,
                                   environment("SLURM_RESTART_COUNT").value_or("0"));
  return place;
}

}  // namespace

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

RankInfo find_rank(const Environment& environment) {
  // First torchrun, which itself is often started by srun.
  if (is_set(environment, "RANK") && is_set(environment, "WORLD_SIZE")) {
    auto place = place_of_torchrun(environment);
    return place;
  }
  const auto tasks = parse_number(environment("SLURM_STEP_NUM_TASKS").value_or("1"));
  if (tasks && *tasks > 1) return place_of_slurm(environment);
  return {};
}

std::string first_slurm_host(const std::string& node_list) {
  const auto fail = [&] {
    return input_error(
        "parallel",
        "SLURM_STEP_NODELIST: found {}, expected a node list such as gpu[03-05,9]; or "
        "set MASTER_ADDR",
        node_list);
  };
  // Up to the comma that is outside brackets, each bracket replaced by its first number.
  std::string host;
  for (std::size_t i = 0; i < node_list.size() && node_list[i] != ','; ++i) {
    if (node_list[i] != '[') {
      host += node_list[i];
      continue;
    }
    const auto close = node_list.find(']', i);
    if (close == std::string::npos) throw fail();
    const auto inside = node_list.substr(i + 1, close - i - 1);
    const auto number = inside.substr(0, inside.find_first_of(",-"));
    if (!parse_number(number)) throw fail();
    host += number;
    i = close;
  }
  if (host.empty()) throw fail();
  return host;
}

int slurm_tasks_on(const std::string& tasks_per_node, int node) {
  const auto fail = [&] {
    return input_error(
        "parallel",
        "SLURM_STEP_TASKS_PER_NODE: found {}, expected a list such as 2(x3),1 with an "
        "entry for node {}",
        tasks_per_node, node);
  };
  std::int64_t first = 0;
  for (std::size_t start = 0; start < tasks_per_node.size();) {
    const auto comma = std::min(tasks_per_node.find(',', start), tasks_per_node.size());
    const auto entry = tasks_per_node.substr(start, comma - start);
    const auto bracket = entry.find("(x");
    const auto tasks = parse_number(entry.substr(0, bracket));
    std::optional<std::int64_t> nodes = 1;
    if (bracket != std::string::npos) {
      nodes = entry.ends_with(')')
                  ? parse_number(entry.substr(bracket + 2, entry.size() - bracket - 3))
                  : std::nullopt;
    }
    if (!tasks || *tasks < 1 || !nodes || *nodes < 1) throw fail();
    if (node < first + *nodes) return static_cast<int>(*tasks);
    first += *nodes;
    start = comma + 1;
  }
  throw fail();
}

namespace {

/// The variable that says how many threads there are, and how many; nullptr and 0 where none does.
std::pair<const char*, std::int64_t> threads_variable() {
  for (const char* name : {"OMP_NUM_THREADS", "MKL_NUM_THREADS"}) {
    const auto count = parse_number(process_environment(name).value_or("")).value_or(0);
    if (count > 0) return {name, count};
  }
  return {nullptr, 0};
}

}  // namespace

void set_threads() {
  if (threads_variable().first == nullptr) at::set_num_threads(usable_processors().threads);
}

std::string threads_reason() {
  const int threads = at::get_num_threads();
  const auto processors = usable_processors();
  const auto [name, count] = threads_variable();
  if (count == threads) return fmt::format("{}; the process may use {}", name, processors.reason);
  if (threads != processors.threads) {
    return fmt::format("parallel.threads or a part of the job's; the process may use {}",
                       processors.reason);
  }
  return processors.reason;
}

int rank_threads(const RankInfo& place, const Environment& environment) {
  if (place.is_alone()) return 0;
  const auto processors = usable_processors();
  if (place.launcher == Launcher::slurm) {
    const auto given = parse_number(environment("SLURM_CPUS_PER_TASK").value_or(""));
    if (given && *given > 0) return static_cast<int>(*given);
    const auto on_node = parse_number(environment("SLURM_CPUS_ON_NODE").value_or(""));
    if (on_node && *on_node > 0) {
      return std::max(1, static_cast<int>(*on_node) / place.local_size);
    }
    // A task that Slurm bound to its own cores has no others to share with.
    if (processors.allowed < ::sysconf(_SC_NPROCESSORS_ONLN)) return processors.threads;
  }
  return std::max(1, processors.threads / place.local_size);
}

std::string launcher_name(Launcher launcher) {
  switch (launcher) {
    case Launcher::none:
      return "none";
    case Launcher::self:
      return "xception";
    case Launcher::torchrun:
      return "torchrun";
    case Launcher::slurm:
      return "slurm";
  }
  return "";
}

}  // namespace xception
