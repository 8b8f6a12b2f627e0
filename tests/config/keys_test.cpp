// Tables of keys, and the options that components have for themselves.
#include "xception/config/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "xception/core/error.h"

namespace xception {
namespace {

using testing::ElementsAre;

struct WarmOptions {
  double heat = 0.5;
  std::int64_t rate = 3;

  std::vector<Key> keys() {
    return {{"heat", &heat, between(0, 1), "of the oven"}, {"rate", &rate, {}, "a minute"}};
  }
};

struct HotOptions {
  double heat = 0.5;

  std::vector<Key> keys() { return {{"heat", &heat, between(0, 1), "of the oven"}}; }
};

/// A section with three components: `warm` and `warmer` share their options, `hot` has its own.
struct Oven : ComponentOptions {
  std::string name = "warm";

  std::vector<Key> keys() {
    std::vector<Key> keys = {{"name", &name, Choices{"warm", "warmer", "hot"}, "which"}};
    add_keys(keys, "warm", own_keys<WarmOptions>(*this));
    add_keys(keys, "warmer", own_keys<WarmOptions>(*this));
    add_keys(keys, "hot", own_keys<HotOptions>(*this));
    return keys;
  }
};

TEST(ComponentOptions, AreOneOfATypeAndCopied) {
  Oven oven;
  auto& first = oven.own<WarmOptions>();
  first.heat = 0.25;
  EXPECT_EQ(&oven.own<WarmOptions>(), &first);
  EXPECT_EQ(oven.own<HotOptions>().heat, 0.5);
  EXPECT_EQ(&oven.own<WarmOptions>(), &first);  // others don't move it
  const Oven copy = oven;
  first.heat = 0.75;
  EXPECT_EQ(copy.own<WarmOptions>().heat, 0.25);
  EXPECT_EQ(Oven().own<WarmOptions>().heat, 0.5);
}

TEST(ComponentKeys, OfOneNameAreOneKeyThatAllRead) {
  Oven oven;
  std::set<std::string> given;
  read_keys({{"heat", 0.125}}, "a.json", "oven", oven.keys(), given);
  EXPECT_EQ(oven.own<WarmOptions>().heat, 0.125);
  EXPECT_EQ(oven.own<HotOptions>().heat, 0.125);
  EXPECT_EQ(write_keys(oven.keys()).dump(), R"({"name":"warm","heat":0.125,"rate":3})");
  std::vector<std::string> meanings;
  for (const auto& key : list_keys("oven", oven.keys())) {
    meanings.push_back(key.key + ": " + key.meaning);
  }
  EXPECT_THAT(meanings, ElementsAre("oven.name: which", "oven.heat: warm, warmer, hot: of the oven",
                                    "oven.rate: warm, warmer: a minute"));
}

TEST(ComponentKeys, ThatTheChosenOneDoesNotReadAreFound) {
  Oven oven;
  oven.own<WarmOptions>().rate = 4;
  const auto unread = [&](const std::set<std::string>& given, const std::string& chosen) {
    return unread_keys("oven", oven.keys(), Oven().keys(), given, chosen);
  };
  EXPECT_THAT(unread({"oven.name", "oven.heat", "oven.rate"}, "hot"), ElementsAre("oven.rate"));
  EXPECT_THAT(unread({"oven.rate"}, "warmer"), ElementsAre());
  EXPECT_THAT(unread({"oven.heat"}, "hot"), ElementsAre());  // it reads it
  EXPECT_THAT(unread({}, "hot"), ElementsAre());             // nobody asked for it
  oven.own<WarmOptions>().rate = 3;
  EXPECT_THAT(unread({"oven.rate"}, "hot"), ElementsAre());  // the default
}

TEST(Keys, OfAnyJsonPointIntoWhatWasRead) {
  const nlohmann::json* any = nullptr;
  const Key key{"any", &any, {}, "anything"};
  const nlohmann::json value = {1, "two"};
  EXPECT_EQ(assign(key, value), "");
  EXPECT_EQ(any, &value);
  EXPECT_EQ(write_keys({key}).dump(), R"({"any":[1,"two"]})");
}

TEST(Keys, KeepTheirValueWhereTheNewOneIsWrong) {
  std::vector<double> list = {1, 2};
  EXPECT_EQ(assign({"list", &list, between(0, 9), ""}, {3, 10}),
            "found [3,10], out of range; expected 0 <= x <= 9");
  EXPECT_THAT(list, ElementsAre(1, 2));
}

TEST(NearestName, FindsSlipsAndNothingElse) {
  EXPECT_EQ(nearest_name("epoch", {"epochs", "batch_size"}), "epochs");
  EXPECT_EQ(nearest_name("bach_size", {"epochs", "batch_size"}), "batch_size");
  EXPECT_EQ(nearest_name("zzzzzz", {"epochs", "batch_size"}), "");
}

}  // namespace
}  // namespace xception
