// torch.save's files, well made and hostile. That they are read as Python reads them,
// parity_test.cpp tests with Python's own.

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "data/file_testing.h"
#include "weights/torch_files.h"
#include "xception/weights/weight_file.h"

namespace xception {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

class TorchFile : public FolderTest {
 protected:
  WeightFile read(const std::string& content) { return read_weights(write("weights", content)); }
  std::string refusal(const std::string& content) {
    const auto line = error_of([&] { (void)read(content); });
    EXPECT_THAT(line, HasSubstr((folder / "weights").string()));
    return line;
  }
  /// An old file whose only object is `object`; with a storage "0" of six floats.
  std::string refusal_of(const std::string& object) {
    return refusal(old_torch_file(object, {{"0", six}}));
  }

  const std::string six = floats({0, 1, 2, 3, 4, 5});
  const std::string storage = p_storage("FloatStorage", "0", 6);
  const std::string tensor = p_tensor(storage, 0, {2, 3}, {3, 1});
};

TEST_F(TorchFile, BothContainersGiveTheTensor) {
  const auto expected = at::arange(6, at::kFloat).view({2, 3});
  const auto object = p_dict({{"a.weight", tensor}});
  const auto old = read(old_torch_file(object, {{"0", six}}));
  EXPECT_TRUE(old.tensors.at("a.weight").equal(expected));
  const auto zip = read(zip_of({{"x/data.pkl", p_pickle(object)}, {"x/data/0", six}}));
  EXPECT_TRUE(zip.tensors.at("a.weight").equal(expected));
  EXPECT_THAT(zip.format, HasSubstr("zip"));
}

TEST_F(TorchFile, ViewsAreMadeContiguous) {
  const auto object = p_dict({{"transposed", p_tensor(storage, 0, {3, 2}, {1, 3})},
                              {"part", p_tensor(storage, 4, {2}, {1})},
                              {"scalar", p_tensor(storage, 5, {}, {})},
                              {"same", p_tensor(storage, 2, {3, 2}, {0, 1})},
                              {"empty", p_tensor(storage, 0, {0, 4}, {4, 1})}});
  const auto tensors = read(old_torch_file(object, {{"0", six}})).tensors;
  const auto all = at::arange(6, at::kFloat);
  EXPECT_TRUE(tensors.at("transposed").equal(all.view({2, 3}).t()));
  EXPECT_TRUE(tensors.at("part").equal(all.slice(0, 4)));
  EXPECT_TRUE(tensors.at("scalar").equal(all[5]));
  EXPECT_TRUE(tensors.at("same").equal(all.slice(0, 2, 4).expand({3, 2})));
  EXPECT_EQ(tensors.at("empty").numel(), 0);
  for (const auto& [name, value] : tensors) EXPECT_TRUE(value.is_contiguous()) << name;
}

TEST_F(TorchFile, WrappersAndPrefixesAreTakenOff) {
  const auto inner = p_dict({{"module._orig_mod.fc", tensor}, {"module._orig_mod.bn", tensor}});
  const auto weights = read(old_torch_file(
      p_dict({{"epoch", p_int(3)},
              {"args", p_global("argparse Namespace") + ")\x81" + p_dict({{"lr", p_int(1)}}) + "b"},
              {"model", p_dict({{"state_dict", inner}})}}),
      {{"0", six}}));
  EXPECT_EQ(weights.order, (std::vector<std::string>{"fc", "bn"}));
  EXPECT_THAT(weights.notes,
              testing::ElementsAre(HasSubstr("under model"), HasSubstr("under state_dict"),
                                   HasSubstr("prefix module."), HasSubstr("prefix _orig_mod.")));
}

TEST_F(TorchFile, AveragedWeightsArePreferred) {
  const auto weights = read(old_torch_file(p_dict({{"state_dict", p_dict({{"a", tensor}})},
                                                   {"state_dict_ema", p_dict({{"b", tensor}})}}),
                                           {{"0", six}}));
  EXPECT_TRUE(weights.tensors.contains("b"));
  EXPECT_FALSE(weights.tensors.contains("a"));
}

TEST_F(TorchFile, CallsAreRefusedByName) {
  for (const std::string name :
       {"os system", "posix system", "builtins eval", "builtins exec", "builtins getattr",
        "torch load", "torch.hub load", "torch.storage _load_from_bytes", "subprocess Popen",
        "torch.nn.modules.linear Linear", "collections OrderedDict.__init__",
        "copyreg _reconstructor"}) {
    auto dotted = name;
    dotted[dotted.find(' ')] = '.';
    const auto call =
        p_global(name) + p_tuple({p_text("touch " + (folder / "owned").string())}) + "R";
    EXPECT_THAT(refusal_of(p_dict({{"a", tensor}, {"b", call}})),
                AllOf(HasSubstr("wants to call " + dotted + ";"), HasSubstr("state_dict()")));
    // The same as a pickle of protocol 4 names it.
    auto words = std::pair{name.substr(0, name.find(' ')), name.substr(name.find(' ') + 1)};
    const auto by_stack = p_text(words.first) + p_text(words.second) + "\x93" + p_tuple({}) + "R";
    EXPECT_THAT(refusal_of(p_dict({{"b", by_stack}})), HasSubstr("wants to call " + dotted));
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "owned"));
}

TEST_F(TorchFile, TensorsOutsideOfTheirStorageAreRefused) {
  const std::int64_t huge = std::int64_t{1} << 62;
  const std::vector<std::string> tensors = {
      p_tensor(storage, 0, {7}, {1}),
      p_tensor(storage, 1, {2, 3}, {3, 1}),
      p_tensor(storage, -1, {2}, {1}),
      p_tensor(storage, 0, {-2}, {1}),
      p_tensor(storage, 0, {2}, {-1}),
      p_tensor(storage, 7, {0}, {1}),
      p_tensor(storage, 0, {huge, 4}, {0, 1}),
      p_tensor(storage, 0, {3}, {huge}),
      p_tensor(storage, huge, {2, 2}, {huge, huge}),
      p_tensor(storage, 0, {huge, huge, 0}, {1, 1, 1}),
  };
  for (const auto& bad : tensors) {
    EXPECT_THAT(refusal_of(p_dict({{"fc.weight", bad}})),
                AllOf(HasSubstr("fc.weight"), HasSubstr("leaves its storage")));
  }
}

TEST_F(TorchFile, ManyViewsOfOneValueAreRefused) {
  EXPECT_THAT(refusal_of(p_dict({{"a", p_tensor(storage, 0, {1 << 20, 1 << 10}, {0, 0})}})),
              HasSubstr("share memory"));
  std::vector<std::pair<std::string, std::string>> items;
  for (int i = 0; i < 100; ++i) {
    items.emplace_back("t" + std::to_string(i), p_tensor(storage, 0, {1 << 16, i + 1}, {0, 0}));
  }
  EXPECT_THAT(refusal_of(p_dict(items)), HasSubstr("share memory"));
}

TEST_F(TorchFile, StoragesThatTheFileDoesNotHoldAreRefused) {
  const std::int64_t huge = std::int64_t{1} << 60;
  for (const std::int64_t values : {std::int64_t{7}, std::int64_t{5}, std::int64_t{-1},
                                    std::int64_t{1} << 40, huge, huge * 2}) {
    const auto object =
        p_dict({{"a", p_tensor(p_storage("FloatStorage", "0", values), 0, {1}, {1})}});
    (void)refusal_of(object);
    (void)refusal(zip_of({{"x/data.pkl", p_pickle(object)}, {"x/data/0", six}}));
  }
  (void)refusal_of(p_dict({{"a", p_tensor(p_storage("FloatStorage", "1", 6), 0, {1}, {1})}}));
  (void)refusal_of(
      p_dict({{"a", tensor}, {"b", p_tensor(p_storage("IntStorage", "0", 6), 0, {1}, {1})}}));
}

TEST_F(TorchFile, PicklesOfAnotherKindAreRefused) {
  EXPECT_THAT(refusal_of("]"), HasSubstr("no tensors"));
  EXPECT_THAT(refusal_of(p_dict({{"epoch", p_int(1)}})), HasSubstr("no tensors"));
  EXPECT_THAT(refusal_of(p_dict({{"a", tensor}, {"a", tensor}})), HasSubstr("twice"));
  EXPECT_THAT(refusal_of("I1\n"), HasSubstr("instruction 0x49"));
  EXPECT_THAT(refusal_of("N(u"), HasSubstr("expected a dict"));
  EXPECT_THAT(refusal_of("h\x05"), HasSubstr("memo entry 5"));
  EXPECT_THAT(refusal_of("t"), HasSubstr("mark"));
  EXPECT_THAT(refusal_of("R"), HasSubstr("stack"));
  EXPECT_THAT(refusal_of("B" + little_endian(0xFFFFFFFF, 4)), HasSubstr("announced"));
  EXPECT_THAT(refusal_of("\x8E" + little_endian(~std::uint64_t{0}, 8)), HasSubstr("announced"));
  EXPECT_THAT(refusal_of("NNR"), HasSubstr("no function"));
  EXPECT_THAT(refusal_of("K\x01Nb"), HasSubstr("attributes"));
  EXPECT_THAT(refusal_of(p_global("torch FloatStorage") + ")R"), HasSubstr("no function"));
  EXPECT_THAT(refusal_of("NQ"), HasSubstr("storage of an unknown kind"));
  EXPECT_THAT(refusal_of(p_global("torch._utils _rebuild_tensor_v2") + ")R"),
              HasSubstr("wrong arguments"));
}

TEST_F(TorchFile, BombsStaySmall) {
  constexpr std::size_t kMany = 3'000'000;
  EXPECT_THAT(refusal_of(std::string(kMany, 'N')), HasSubstr("values"));
  EXPECT_THAT(refusal_of("N" + std::string(kMany, '2')), HasSubstr("stack"));
  EXPECT_THAT(refusal_of(std::string(kMany, '(')), HasSubstr("marks"));
  // Lists in one another, as deep as one likes, and a list that contains itself.
  std::string nested = "]";
  for (int i = 0; i < 200'000; ++i) nested += "]";
  nested += std::string(200'000, 'a');
  EXPECT_THAT(refusal_of(nested), HasSubstr("no tensors"));
  EXPECT_THAT(refusal_of(std::string("]q\x00h\x00", 5) + "a"), HasSubstr("no tensors"));
  // Each dict has the one before ten times.
  std::string laughs = p_dict({{"a", "N"}}) + std::string("q\x00", 2);
  for (char level = 0; level < 60; ++level) {
    laughs += "}(";
    for (int i = 0; i < 10; ++i) laughs += p_text("model") + std::string{'h', level};
    laughs += std::string{'u', 'q', static_cast<char>(level + 1)};
  }
  EXPECT_THAT(refusal_of(laughs), HasSubstr("no tensors"));
  // A dict made of a list of many pairs, again and again.
  std::string pairs = "](";
  for (int i = 0; i < 100'000; ++i) pairs += "NN\x86";
  pairs += std::string("e\x85q\x00", 4) + "0";
  for (int i = 0; i < 1000; ++i) {
    pairs += p_global("collections OrderedDict") + std::string("h\x00R", 3) + "0";
  }
  EXPECT_THAT(refusal_of(pairs), HasSubstr("too large"));
}

TEST_F(TorchFile, EveryCutIsAnError) {
  const auto object = p_dict({{"a.weight", tensor}});
  for (const auto& whole : {old_torch_file(object, {{"0", six}}),
                            zip_of({{"x/data.pkl", p_pickle(object)}, {"x/data/0", six}})}) {
    ASSERT_NO_THROW((void)read(whole));
    for (std::size_t length = 0; length < whole.size(); ++length)
      (void)refusal(whole.substr(0, length));
  }
}

TEST_F(TorchFile, HostileArchivesAreRefused) {
  const auto pickle = p_pickle(p_dict({{"a.weight", tensor}}));
  EXPECT_THAT(refusal(zip_of({{"x/data.pkl", pickle}, {"x/data/0", six}, {"x/data/0", six}})),
              HasSubstr("already exists"));  // libzip's words
  EXPECT_THAT(refusal(zip_of({{"x/data.pkl", pickle}, {"y/data.pkl", pickle}, {"x/data/0", six}})),
              HasSubstr("2 times data.pkl"));
  EXPECT_THAT(refusal(zip_of({{"x/data.pkl", pickle}})), HasSubstr("storage 0 has 0 bytes"));
  EXPECT_THAT(refusal(zip_of({{"x/data.pkl", pickle}, {"x/data/0", six + "more"}})),
              HasSubstr("expected 24"));
  EXPECT_THAT(
      refusal(zip_of({{"x/data.pkl", pickle}, {"x/data/0", six}, {"x/constants.pkl", "a"}})),
      HasSubstr("TorchScript"));
  EXPECT_THAT(refusal(zip_of({{"x/data.pkl", pickle}, {"x/data/0", six}, {"x/byteorder", "big"}})),
              HasSubstr("big-endian"));
  EXPECT_THAT(refusal(zip_of({{"config.json", "{}"}, {"model.weights.h5", "a"}})),
              HasSubstr("HDF5 file"));
  auto altered = zip_of({{"x/data.pkl", pickle}, {"x/data/0", six}});
  altered[altered.find(six) + 5] ^= 1;
  EXPECT_THAT(refusal(altered), HasSubstr("x/data/0"));
}

TEST_F(TorchFile, OtherFilesAreOfNoKnownFormat) {
  for (const std::string content : {"", "a", "GIF89a", "\x80\x02}.", "{\"a\": 1}"}) {
    (void)refusal(content);
  }
  EXPECT_THAT(error_of([&] { (void)read_weights(folder); }), HasSubstr("directory"));
  EXPECT_THAT(error_of([&] { (void)read_weights(folder / "none"); }), HasSubstr("no such file"));
}

}  // namespace
}  // namespace xception
