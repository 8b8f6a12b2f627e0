// Who starts a process, by its environment.
#include "xception/parallel/rank_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "xception/core/error.h"
#include "xception/parallel/launch.h"

namespace xception {
namespace {

using testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

Environment environment(Variables variables) {
  return [variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

RankInfo place_of(const Variables& variables) {
  return find_rank(environment(variables));
}

std::string error_of_place(const Variables& variables) {
  try {
    (void)place_of(variables);
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    return error.what();
  }
  return "";
}

const Variables kTorchrun = {{"RANK", "3"},
                             {"WORLD_SIZE", "4"},
                             {"LOCAL_RANK", "1"},
                             {"MASTER_PORT", "29500"},
                             {"LOCAL_WORLD_SIZE", "2"},
                             {"MASTER_ADDR", "10.0.0.1"}};

const Variables kSlurmStep = {{"SLURM_STEP_NUM_TASKS", "5"},
                              {"SLURM_PROCID", "4"},
                              {"SLURM_LOCALID", "0"},
                              {"SLURM_NODEID", "2"},
                              {"SLURM_STEP_TASKS_PER_NODE", "2(x2),1"},
                              {"SLURM_STEP_NODELIST", "gpu[07-08],login"},
                              {"SLURM_JOB_ID", "1234"},
                              {"SLURM_STEP_ID", "0"}};

Variables with(Variables variables, const Variables& more) {
  for (const auto& [name, value] : more) variables[name] = value;
  return variables;
}

TEST(RankInfo, NothingMeansAlone) {
  const auto place = place_of({});
  EXPECT_TRUE(place.is_alone());
  EXPECT_EQ(place.launcher, Launcher::none);
}

TEST(RankInfo, Torchrun) {
  const auto place = place_of(kTorchrun);
  EXPECT_EQ(place.launcher, Launcher::torchrun);
  EXPECT_EQ(place.rank, 3);
  EXPECT_EQ(place.size, 4);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.local_size, 2);
  EXPECT_EQ(place.store_address, "10.0.0.1");
  EXPECT_EQ(place.store_port, 29500);
  EXPECT_FALSE(place.hosts_store);
}

TEST(RankInfo, RankZeroHostsTheStoreUnlessTheAgentDoes) {
  const auto root = with(kTorchrun, {{"RANK", "0"}, {"LOCAL_RANK", "0"}});
  EXPECT_TRUE(place_of(root).hosts_store);
  EXPECT_FALSE(place_of(with(root, {{"TORCHELASTIC_USE_AGENT_STORE", "True"}})).hosts_store);
  EXPECT_TRUE(place_of(with(root, {{"TORCHELASTIC_USE_AGENT_STORE", "False"}})).hosts_store);
}

TEST(RankInfo, ARestartHasKeysOfItsOwn) {
  const auto first = place_of(with(kTorchrun, {{"TORCHELASTIC_RESTART_COUNT", "0"}}));
  const auto second = place_of(with(kTorchrun, {{"TORCHELASTIC_RESTART_COUNT", "1"}}));
  EXPECT_NE(first.store_prefix, second.store_prefix);
}

TEST(RankInfo, TorchrunGoesBeforeTheSlurmStepThatItRunsIn) {
  EXPECT_EQ(place_of(with(kSlurmStep, kTorchrun)).launcher, Launcher::torchrun);
}

TEST(RankInfo, SlurmStep) {
  const auto place = place_of(kSlurmStep);
  EXPECT_EQ(place.launcher, Launcher::slurm);
  EXPECT_EQ(place.rank, 4);
  EXPECT_EQ(place.size, 5);
  EXPECT_EQ(place.local_rank, 0);
  EXPECT_EQ(place.local_size, 1);
  EXPECT_EQ(place.store_address, "gpu07");
  EXPECT_FALSE(place.hosts_store);
  EXPECT_TRUE(place_of(with(kSlurmStep, {{"SLURM_PROCID", "0"}})).hosts_store);
}

TEST(RankInfo, SlurmJobsAndStepsHavePortsOfTheirOwn) {
  const auto port = [](const std::string& job, const std::string& step) {
    return place_of(with(kSlurmStep, {{"SLURM_JOB_ID", job}, {"SLURM_STEP_ID", step}})).store_port;
  };
  EXPECT_NE(port("1234", "0"), port("1234", "1"));
  EXPECT_NE(port("1234", "0"), port("1235", "0"));
  for (const auto* job : {"1", "999999999", "4294967295"}) {
    EXPECT_GE(port(job, "0"), 15000);
    EXPECT_LT(port(job, "4294967290"), 32768);
  }
  EXPECT_EQ(place_of(with(kSlurmStep, {{"MASTER_PORT", "999"}, {"MASTER_ADDR", "h"}})).store_port,
            999);
}

TEST(RankInfo, AnAllocationIsNoStep) {
  // What sbatch and salloc set for the shell itself.
  const Variables batch = {{"SLURM_JOB_ID", "7"},   {"SLURM_NTASKS", "4"},  {"SLURM_NPROCS", "4"},
                           {"SLURM_PROCID", "0"},   {"SLURM_LOCALID", "0"}, {"SLURM_NODEID", "0"},
                           {"SLURM_NODELIST", "n1"}};
  EXPECT_TRUE(place_of(batch).is_alone());
  // salloc's interactive step, and srun -n1.
  EXPECT_TRUE(place_of(with(batch, {{"SLURM_STEP_NUM_TASKS", "1"}})).is_alone());
}

TEST(RankInfo, WhatContradictsItselfIsNamed) {
  EXPECT_THAT(error_of_place(with(kTorchrun, {{"RANK", "4"}})), HasSubstr("RANK: found 4"));
  EXPECT_THAT(error_of_place(with(kTorchrun, {{"WORLD_SIZE", "x"}})),
              HasSubstr("WORLD_SIZE: found x"));
  EXPECT_THAT(error_of_place(with(kTorchrun, {{"MASTER_PORT", "70000"}})),
              HasSubstr("MASTER_PORT: found 70000"));
  EXPECT_THAT(error_of_place({{"RANK", "0"}, {"WORLD_SIZE", "2"}}), HasSubstr("MASTER_ADDR"));
  EXPECT_THAT(error_of_place(with(kSlurmStep, {{"SLURM_PROCID", "5"}})),
              HasSubstr("SLURM_PROCID: found 5"));
  EXPECT_THAT(error_of_place(with(kSlurmStep, {{"SLURM_STEP_TASKS_PER_NODE", "2(y2)"}})),
              HasSubstr("2(y2)"));
}

TEST(RankInfo, FirstHostOfANodeList) {
  EXPECT_EQ(first_slurm_host("node"), "node");
  EXPECT_EQ(first_slurm_host("a,b"), "a");
  EXPECT_EQ(first_slurm_host("gpu[03-05,9],login1"), "gpu03");
  EXPECT_EQ(first_slurm_host("gpu[7,3]"), "gpu7");
  EXPECT_EQ(first_slurm_host("rack[2-3]-node[001-004].site"), "rack2-node001.site");
  for (const auto* bad : {"", ",a", "gpu[", "gpu[x]", "gpu[]"}) {
    EXPECT_THROW((void)first_slurm_host(bad), Error) << bad;
  }
}

TEST(RankInfo, TasksOnANode) {
  EXPECT_EQ(slurm_tasks_on("2", 0), 2);
  EXPECT_EQ(slurm_tasks_on("2(x3),1", 2), 2);
  EXPECT_EQ(slurm_tasks_on("2(x3),1", 3), 1);
  for (const auto* bad : {"", "0", "2(x", "2(x0)", "(x2)", "2,,1", "-1"}) {
    EXPECT_THROW((void)slurm_tasks_on(bad, 1), Error) << bad;
  }
  EXPECT_THROW((void)slurm_tasks_on("2", 1), Error);
}

TEST(RankInfo, ThreadsAreSharedOut) {
  RankInfo place;
  EXPECT_EQ(rank_threads(place, environment({})), 0);
  place.size = place.local_size = 1024;
  place.launcher = Launcher::torchrun;
  EXPECT_EQ(rank_threads(place, environment({{"OMP_NUM_THREADS", "7"}})), 1);
  place.launcher = Launcher::slurm;
  EXPECT_EQ(rank_threads(place, environment({{"SLURM_CPUS_PER_TASK", "12"}})), 12);
  EXPECT_EQ(rank_threads(place, environment({{"SLURM_CPUS_ON_NODE", "4096"}})), 4);
  EXPECT_EQ(rank_threads(place, environment({{"SLURM_CPUS_ON_NODE", "7"}})), 1);
}

std::string device_of(const std::string& device, Launcher launcher, int local_rank, int local_size,
                      std::int64_t gpus) {
  RankInfo place;
  place.launcher = launcher;
  place.rank = place.local_rank = local_rank;
  place.size = place.local_size = local_size;
  try {
    return device_of_rank(device, place, gpus);
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    return "error";
  }
}

TEST(DeviceOfRank, FollowsTheLocalRank) {
  using enum Launcher;
  EXPECT_EQ(device_of("auto", torchrun, 1, 2, 2), "cuda:1");
  EXPECT_EQ(device_of("all", torchrun, 3, 4, 8), "cuda:3");
  EXPECT_EQ(device_of("cuda", torchrun, 1, 2, 2), "cuda:1");
  EXPECT_EQ(device_of("cuda:2,cuda:5", self, 1, 2, 8), "cuda:5");
  EXPECT_EQ(device_of("cpu", torchrun, 1, 2, 2), "cpu");
  EXPECT_EQ(device_of("auto", torchrun, 1, 2, 0), "cpu");
}

TEST(DeviceOfRank, OneVisibleGpuATaskIsNumberZeroUnderSlurm) {
  EXPECT_EQ(device_of("auto", Launcher::slurm, 3, 4, 1), "cuda:0");
  EXPECT_EQ(device_of("auto", Launcher::torchrun, 1, 2, 1), "error");
}

TEST(DeviceOfRank, RefusesWhatCannotBeShared) {
  EXPECT_EQ(device_of("auto", Launcher::torchrun, 2, 3, 2), "error");
  EXPECT_EQ(device_of("cuda:0", Launcher::torchrun, 0, 2, 2), "error");
  EXPECT_EQ(device_of("cuda:0,cuda:1", Launcher::torchrun, 0, 3, 3), "error");
  EXPECT_EQ(device_of("gpu", Launcher::torchrun, 0, 2, 2), "error");
}

TEST(PlanJob, ListsAreOneRankADevice) {
  const auto plan = plan_job("cuda:0,cuda:3", 0, environment({}));
  EXPECT_EQ(plan.to_launch, 2);
  EXPECT_EQ(plan_job("cpu", 3, environment({})).to_launch, 3);
  EXPECT_EQ(plan_job("cpu", 1, environment({})).to_launch, 0);
  EXPECT_EQ(plan_job("auto", 0, environment({})).to_launch, 0);
}

TEST(PlanJob, RefusesContradictions) {
  const auto none = environment({});
  EXPECT_THROW((void)plan_job("cuda:0,cuda:0", 0, none), Error);
  EXPECT_THROW((void)plan_job("cuda:0,cpu", 0, none), Error);
  EXPECT_THROW((void)plan_job("cuda:0,", 0, none), Error);
  EXPECT_THROW((void)plan_job("cuda:0,cuda:1", 3, none), Error);
  EXPECT_THROW((void)plan_job("cuda:0", 2, none), Error);
  EXPECT_THROW((void)plan_job("cpu", -1, none), Error);
  EXPECT_THROW((void)plan_job("cpu", 3, environment(kTorchrun)), Error);
}

}  // namespace
}  // namespace xception
