// Completion and the manual page, as shells and troff understand them.
#include <gmock/gmock.h>

#include <cstdlib>
#include <sstream>

#include "commands/command_testing.h"

namespace xception {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class CompletionTest : public CommandTest {
 protected:
  /// The file that `xception completion SHELL` prints.
  [[nodiscard]] std::string script(const std::string& shell) const {
    const auto result = run_xception({"completion", shell});
    EXPECT_TRUE(succeeds(result));
    return write("completion." + shell, result.out).string();
  }

  /// What a shell prints, line by line.
  [[nodiscard]] static std::vector<std::string> lines_of(const Arguments& command) {
    const auto result = Process(command).wait();
    EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
    EXPECT_EQ(result.err, "");
    std::vector<std::string> lines;
    std::istringstream text(result.out);
    for (std::string line; std::getline(text, line);) {
      if (!line.empty()) lines.push_back(line);
    }
    return lines;
  }

  /// What bash offers for the last of these words, in an empty folder.
  [[nodiscard]] std::vector<std::string> offered(const std::string& words) const {
    const auto code = "cd " + folder.string() + " && mkdir -p empty && source " + script("bash") +
                      " && cd empty && COMP_WORDS=(" + words +
                      ") && COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) && _xception; "
                      "printf '%s\\n' \"${COMPREPLY[@]}\"";
    return lines_of({"/usr/bin/env", "bash", "-c", code});
  }
};

TEST_F(CompletionTest, BashOffersCommandsOptionsAndChoices) {
  EXPECT_THAT(offered("xception tr"), ElementsAre("train"));
  EXPECT_THAT(offered("xception ''"), Contains("sweep"));
  EXPECT_THAT(offered("xception ''"), Not(Contains("count-gpus")));
  EXPECT_THAT(offered("xception weights d"), ElementsAre("diff"));
  EXPECT_THAT(offered("xception train --re"), ElementsAre("--recipe", "--resume"));
  EXPECT_THAT(offered("xception train --out runs/a --re"), ElementsAre("--recipe", "--resume"));
  EXPECT_THAT(offered("xception train --recipe paper-j"), ElementsAre("paper-jft"));
  EXPECT_THAT(offered("xception eval --checkpoint ''"), ElementsAre("best", "last"));
  EXPECT_THAT(offered("xception train --out ''"), IsEmpty());  // files; there are none
}

TEST_F(CompletionTest, BashOffersKeysAndTheirValues) {
  EXPECT_THAT(offered("xception train train.epo"), ElementsAre("train.epochs="));
  EXPECT_THAT(offered("xception train model.name = resnet1"),
              ElementsAre("resnet18", "resnet101", "resnet152"));
  EXPECT_THAT(offered("xception train --out a train.deterministic ="),
              ElementsAre("true", "false"));
  EXPECT_THAT(offered("xception train optimizer.name = a"), ElementsAre("adam", "adamw"));
  EXPECT_THAT(offered("xception train train.epochs = 3"), IsEmpty());
  EXPECT_THAT(offered("xception report train.epo"), IsEmpty());  // takes no keys
}

bool is_there(const std::string& program) {
  return std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0;
}

TEST_F(CompletionTest, ZshOffersThem) {
  if (!is_there("zsh")) GTEST_SKIP() << "no zsh here";
  // compadd and _describe say what they are given.
  const auto code = R"(compadd() { shift "${@[(i)--]}"; print -l -- "$@"; }
    _describe() { print -l -- "${(@P)2%%:*}"; }
    _files() { :; }
    compdef() { :; }
    source )" + script("zsh") +
                    R"(
    words=(xception train model.name=) CURRENT=3; _xception
    words=(xception weights '') CURRENT=3; _xception
    words=(xception eval --checkpoint '') CURRENT=4; _xception
    words=(xception train --re) CURRENT=3; _xception)";
  const auto lines = lines_of({"/usr/bin/env", "zsh", "-f", "-c", code});
  for (const auto* word : {"resnet152", "diff", "best", "last", "--recipe"}) {
    EXPECT_THAT(lines, Contains(word));
  }
}

TEST_F(CompletionTest, FishOffersThem) {
  if (!is_there("fish")) GTEST_SKIP() << "no fish here";
  const auto file = script("fish");
  const auto offers = [&](const std::string& line) {
    return lines_of(
        {"/usr/bin/env", "fish", "--no-config", "-c",
         "source " + file + "; complete -C '" + line + "' | string split -f1 \\t; true"});
  };
  EXPECT_THAT(offers("xception tr"), Contains("train"));
  EXPECT_THAT(offers("xception weights d"), Contains("diff"));
  EXPECT_THAT(offers("xception train --rec"), ElementsAre("--recipe"));
  EXPECT_THAT(offers("xception train --recipe paper-j"), ElementsAre("paper-jft"));
  EXPECT_THAT(offers("xception train optimizer.name=ad"),
              ElementsAre("optimizer.name=adam", "optimizer.name=adamw"));
}

TEST_F(CompletionTest, ManualPageHasEveryOptionAndKey) {
  const auto result = run_xception({"man"});
  ASSERT_TRUE(succeeds(result));
  for (const auto* text : {".TH XCEPTION 1", "\\fB\\-\\-recipe\\fR", ".SS weights diff",
                           "\\fBtrain.batch_size\\fR", "128+n"}) {
    EXPECT_THAT(result.out, HasSubstr(text));
  }
  EXPECT_THAT(result.out, Not(HasSubstr("count\\-gpus")));
  if (!is_there("groff")) GTEST_SKIP() << "no groff here";
  const auto file = write("xception.1", result.out);
  const auto lines = lines_of(
      {"/usr/bin/env", "groff", "-man", "-ww", "-Tutf8", "-P-c", "-P-b", "-P-u", file.string()});
  EXPECT_GT(lines.size(), 300U);
}

}  // namespace
}  // namespace xception
