// The tests of a device before a run, with a script in place of the process that makes them: on the
// CPU as they go on a GPU.
#include <gmock/gmock.h>

#include "commands/command_testing.h"
#include "train/fake_worker.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

class SelftestCommandTest : public CommandTest {
 protected:
  /// Trains with such a worker. name: of the run.
  ProcessResult train(const std::string& body, const std::string& name,
                      const Arguments& more = {}) {
    return run_xception(arguments(name, more), options(body));
  }
  [[nodiscard]] Arguments arguments(const std::string& name, const Arguments& more = {}) const {
    Arguments all = {"train.epochs=1", "train.precision=bf16"};
    all.insert(all.end(), more.begin(), more.end());
    return train_arguments(folder / name, all);
  }
  [[nodiscard]] ProcessOptions options(const std::string& body) const {
    return {.environment = {{"XDG_CACHE_HOME", cache.string()},
                            {"XCEPTION_SELFTEST_WORKER", write_worker(folder, body).string()}}};
  }
  [[nodiscard]] nlohmann::json execution(const std::string& name) const {
    return json_of(folder / name / "environment.json")["execution"];
  }

  fs::path cache = folder / "cache";
};

TEST_F(SelftestCommandTest, TrainingGoesOnWithLibTorchsKernelsWhateverTheTestDoes) {
  struct Broken {
    const char* body;
    const char* words;
  };
  int number = 0;
  for (const auto& [body, words] :
       {Broken{"kill -SEGV $$", "signal 11"}, Broken{"sleep 100", "didn't end in 1 s"},
        Broken{"exit 0", "no verdict"},
        Broken{R"(echo 'xception-selftest {"problem":"BatchNorm differs"}')",
               "BatchNorm differs"}}) {
    fs::remove_all(cache);
    const auto name = "run" + std::to_string(number++);
    const auto result = train(body, name, {"train.selftest_seconds=1"});
    ASSERT_TRUE(succeeds(result)) << body << result.err;
    EXPECT_EQ(count(result.out, "warning: train.kernels: auto: reference on cpu"), 1) << result.out;
    EXPECT_EQ(count(result.out, "warning: train.cuda_graph: off"), 1) << result.out;
    EXPECT_EQ(count(result.out, words), 2) << result.out;
    EXPECT_EQ(execution(name)["kernels"], "reference") << body;
    EXPECT_THAT(execution(name)["kernels_reason"].get<std::string>(), HasSubstr(words));
    EXPECT_EQ(execution(name)["cuda_graph"], "off");
    EXPECT_THAT(execution(name)["cuda_graph_reason"].get<std::string>(), HasSubstr(words));
    EXPECT_EQ(json_of(folder / name / "summary.json")["status"], "complete");
  }
}

TEST_F(SelftestCommandTest, OnlyTheRecordedStepMayFail) {
  const auto result = train(R"(case "$*" in *graph*) kill -SEGV $$;; esac
echo 'xception-selftest {"lifetime":0,"problem":""}')",
                            "run");
  ASSERT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, Not(HasSubstr("warning: train.kernels")));
  EXPECT_EQ(count(result.out, "warning: train.cuda_graph: off"), 1) << result.out;
  EXPECT_EQ(execution("run")["kernels"], "fused");
  EXPECT_THAT(content_of(folder / "calls"), HasSubstr("graph --device cpu --precision bf16 "
                                                      "--kernels fused"));
}

TEST_F(SelftestCommandTest, IsMadeOnceForABuild) {
  ASSERT_TRUE(succeeds(train(verdict(""), "first")));
  EXPECT_EQ(calls_of_worker(folder), 2);
  const auto again = train(verdict("never asked"), "second");
  ASSERT_TRUE(succeeds(again));
  EXPECT_THAT(again.out, Not(HasSubstr("warning")));
  EXPECT_EQ(calls_of_worker(folder), 2);
  EXPECT_EQ(execution("second")["kernels"], "fused");
  // A verdict of failure is kept, too, and says since when.
  fs::remove_all(cache);
  ASSERT_TRUE(succeeds(train(verdict("BatchNorm differs"), "third")));
  const auto kept = train(verdict("never asked"), "fourth");
  EXPECT_EQ(calls_of_worker(folder), 4);
  EXPECT_THAT(kept.out, HasSubstr("failed on 20"));
  EXPECT_EQ(execution("fourth")["kernels"], "reference");
}

TEST_F(SelftestCommandTest, ADamagedOrUnwritableCacheIsNoError) {
  fs::create_directories(cache / "xception");
  std::ofstream(cache / "xception/device-tests.json") << "{ damaged";
  ASSERT_TRUE(succeeds(train(verdict(""), "damaged")));
  EXPECT_EQ(execution("damaged")["kernels"], "fused");
  fs::remove_all(cache);
  std::ofstream(cache) << "a file where a folder should be";
  for (const auto* name : {"once", "twice"}) {
    const auto result = train(verdict(""), name);
    ASSERT_TRUE(succeeds(result));
    EXPECT_EQ(count(result.out, "will be tested again at each start"), 1) << result.out;
    EXPECT_EQ(execution(name)["kernels"], "fused");
  }
  EXPECT_EQ(calls_of_worker(folder), 6);
}

TEST_F(SelftestCommandTest, TwoProcessesMayStartAtOnce) {
  const auto with = options("sleep 0.3\n" + verdict(""));
  Process first(xception_command(arguments("first")), with);
  Process second(xception_command(arguments("second")), with);
  EXPECT_TRUE(succeeds(first.wait()));
  EXPECT_TRUE(succeeds(second.wait()));
  EXPECT_EQ(execution("first")["kernels"], "fused");
  EXPECT_EQ(execution("second")["kernels"], "fused");
  // One waited for the other's answer.
  EXPECT_EQ(calls_of_worker(folder), 2);
  EXPECT_EQ(json_of(cache / "xception/device-tests.json")["verdicts"].size(), 2U);
}

TEST_F(SelftestCommandTest, ADryRunTestsNothing) {
  ASSERT_TRUE(succeeds(train(verdict("asked"), "run", {"--dry-run"})));
  EXPECT_EQ(calls_of_worker(folder), 0);
  EXPECT_FALSE(fs::exists(cache));
}

TEST_F(SelftestCommandTest, AllRanksGoWithTheOneThatFails) {
  // Of two ranks the second's test fails: they ask one after the other.
  const auto result = train(R"(if [ $(wc -l <"$(dirname "$0")/calls") = 2 ]; then
echo 'xception-selftest {"lifetime":null,"problem":"no memory"}'; else
echo 'xception-selftest {"lifetime":null,"problem":""}'; fi)",
                            "run", {"--ranks", "2"});
  ASSERT_TRUE(succeeds(result)) << result.err;
  EXPECT_EQ(count(result.out, "warning: train.kernels: auto: reference"), 1) << result.out;
  EXPECT_EQ(execution("run")["kernels"], "reference");
}

TEST_F(SelftestCommandTest, AsksNothingThatTheConfigDecides) {
  ASSERT_TRUE(
      succeeds(train(verdict("asked"), "told", {"train.kernels=fused", "train.cuda_graph=false"})));
  ASSERT_TRUE(succeeds(train(verdict("asked"), "untested", {"train.selftest_seconds=0"})));
  EXPECT_EQ(calls_of_worker(folder), 0);
  EXPECT_EQ(execution("told")["kernels"], "fused");
  EXPECT_EQ(execution("untested")["kernels"], "fused");
}

TEST_F(SelftestCommandTest, EndsWithTheProcessThatAsked) {
  Process process(xception_command(arguments("run")), options("sleep 100"));
  ASSERT_TRUE(process.wait_until([&] { return calls_of_worker(folder) == 1; }));
  const auto workers = children_of(process.id());
  ASSERT_EQ(workers.size(), 1U);
  process.send(SIGTERM);
  EXPECT_NE(process.wait().exit_code, 0);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (is_running(workers[0]) && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_FALSE(is_running(workers[0]));
  EXPECT_FALSE(fs::exists(cache / "xception/device-tests.json"));
}

TEST_F(SelftestCommandTest, DoctorShowsWhatIsKnownAndAsksAgain) {
  const auto doctor = [&](const std::string& body, const Arguments& more = {}) {
    Arguments all = {"doctor", "--json"};
    all.insert(all.end(), more.begin(), more.end());
    const auto result = run_xception(all, options(body));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  };
  auto report = doctor(verdict("BatchNorm differs"));
  EXPECT_EQ(report["tests_file"], (cache / "xception/device-tests.json").string());
  const auto& tests = report["checks"][0]["tests"];
  EXPECT_EQ(tests["fused_kernels"]["problem"], "BatchNorm differs");
  EXPECT_EQ(tests["fused_kernels"]["kept"], false);
  EXPECT_THAT(report["advice"].dump(), HasSubstr("doctor --retest asks again"));
  report = doctor(verdict(""));
  EXPECT_EQ(report["checks"][0]["tests"]["cuda_graph"]["kept"], true);
  EXPECT_EQ(calls_of_worker(folder), 2);
  report = doctor(verdict(""), {"--retest"});
  EXPECT_EQ(report["checks"][0]["tests"]["fused_kernels"]["problem"], "");
  EXPECT_EQ(report["checks"][0]["tests"]["fused_kernels"]["others"]["bf16"], "");
  EXPECT_EQ(calls_of_worker(folder), 2 + 2 * 3);  // in every precision
}

TEST_F(SelftestCommandTest, WarningsDoNotMixWithJson) {
  const auto run = complete_run().string();
  const auto eval =
      run_xception({"eval", "--run", run, "--json"}, options(verdict("BatchNorm differs")));
  EXPECT_EQ(eval.exit_code, 0);
  EXPECT_TRUE(nlohmann::json::accept(eval.out)) << eval.out;
  EXPECT_EQ(count(eval.err, "warning: train.kernels: auto: reference"), 1) << eval.err;
}

TEST_F(SelftestCommandTest, TheWorkerAnswersInOneLine) {
  const auto result = run_xception(
      {"doctor", "--selftest-worker", "kernels", "--device", "cpu", "--precision", "bf16"});
  ASSERT_TRUE(succeeds(result));
  EXPECT_EQ(result.out, "\nxception-selftest {\"lifetime\":0,\"problem\":\"\"}\n");
  EXPECT_THAT(run_xception({"doctor", "--help"}).out, Not(HasSubstr("worker")));
}

}  // namespace
}  // namespace xception
