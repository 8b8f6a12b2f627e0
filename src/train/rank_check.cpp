#include "rank_check.h"

#include <torch/version.h>
#include <unistd.h>

#include <array>
#include <map>

#include "xception/core/error.h"
#include "xception/core/paths.h"
#include "xception/core/version.h"
#include "xception/parallel/device.h"

namespace xception {
namespace {

RankReport own_report(const Dataset& dataset, const torch::Device& device) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const auto build = version();
  return {.host = host.data(),
          .device = device.str(),
          .identity = device_identity(device),
          .program = fmt::format("{} {}", build.version, build.git_commit),
          .libtorch = TORCH_VERSION,
          .checksum = dataset.checksum,
          .data = text_of_path(dataset.folder)};
}

void check_same(const std::vector<RankReport>& reports, std::string RankReport::*member,
                const std::string& what, const std::string& remedy) {
  const auto& root = reports.front();
  for (std::size_t i = 1; i < reports.size(); ++i) {
    if (reports[i].*member == root.*member) continue;
    throw input_error("parallel", "rank {} ({}) has {} {}, but rank 0 ({}) has {}; {}", i,
                      reports[i].host, what, reports[i].*member, root.host, root.*member, remedy);
  }
}

}  // namespace

std::vector<RankReport> check_ranks(Communicator& ranks, const Dataset& dataset,
                                    const torch::Device& device) {
  const auto own = own_report(dataset, device);
  const nlohmann::json json = {own.host,     own.device,   own.identity, own.program,
                               own.libtorch, own.checksum, own.data};
  std::vector<RankReport> reports;
  for (const auto& text : ranks.gather_texts(json.dump())) {
    const auto j = nlohmann::json::parse(text);
    reports.push_back({j[0], j[1], j[2], j[3], j[4], j[5], j[6]});
  }
  check_same(reports, &RankReport::program, "xception", "install the same on all machines");
  check_same(reports, &RankReport::libtorch, "LibTorch", "install the same on all machines");
  check_same(reports, &RankReport::checksum, "data with checksum",
             "give all machines the same data set (xception data verify)");
  std::map<std::string, std::size_t> owners;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    if (reports[i].identity.empty()) continue;
    const auto [owner, is_new] = owners.emplace(reports[i].host + reports[i].identity, i);
    if (is_new) continue;
    throw input_error("parallel",
                      "ranks {} and {} have the same GPU ({} on {}); start one rank a GPU (Slurm: "
                      "--gpus-per-task=1)",
                      owner->second, i, reports[i].device, reports[i].host);
  }
  return reports;
}

}  // namespace xception
