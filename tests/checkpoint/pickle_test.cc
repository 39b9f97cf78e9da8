// The unpickler on hand-written pickles: wrong operations, names, stacks and numbers; bounds on work and memory.
#include "checkpoint/pickle.h"

#include <gtest/gtest.h>

#include "checkpoint/expect_error.h"

namespace transom {
namespace {

using test::expect_error;
using namespace std::string_literals;

auto parse(const std::string& pickle) {
  return unpickle_state_dict(std::as_bytes(std::span(pickle.data(), pickle.size())), "t.pkl");
}
void corrupt(const std::string& pickle, const std::string& text) {
  expect_error([&] { parse(pickle); }, Code::kCorrupt, text);
}
void unsupported(const std::string& pickle, const std::string& text) {
  expect_error([&] { parse(pickle); }, Code::kUnsupported, text);
}

const std::string kStorage = "(U\7storagectorch\nFloatStorage\nU\0010U\3cpuK\6tQ"s;
const std::string kTensor = "ctorch._utils\n_rebuild_tensor_v2\n(" + kStorage + "K\0K\6\x85K\1\x85\x89}tR"s;

TEST(Pickle, ReadsATensor) {
  const auto t = parse("}U\1w" + kTensor + "s.");
  ASSERT_EQ(t.size(), 1u);
  EXPECT_EQ(t[0].name, "w");
  EXPECT_EQ(t[0].dtype, DType::kF32);
  EXPECT_EQ(t[0].storage, "0");
  EXPECT_EQ(t[0].storage_bytes, 24u);
  EXPECT_EQ(t[0].shape, (std::vector<int64_t>{6}));
}

TEST(Pickle, OtherMembersAreLeftOut) {
  EXPECT_EQ(parse("}(U\1w" + kTensor + "U\1nNU\1lK\1K\2\x86U\1f" + "G"s + std::string(8, '\0') + "u.").size(), 1u);
  EXPECT_EQ(parse("}U\nstate_dict}U\1w" + kTensor + "ss.").size(), 1u);
}

TEST(Pickle, NamesOutsideTheListAreRefused) {
  unsupported("cos\nsystem\n(U\2idtR.", "got the name 'os.system' (nothing was executed");
  unsupported("\x80\x04\x8c\2os\x8c\6system\x93.", "got the name 'os.system'");
  unsupported("cbuiltins\neval\n.", "'builtins.eval'");
  unsupported("ctorch\nload\n.", "'torch.load'");
  unsupported("ctorch._utils\n_rebuild_tensor_v2.__globals__\n.", "__globals__");
  unsupported("c\x1b[31m\n\xff\n.", "'?[31m.?'");
  corrupt("c" + std::string(5000, 'a'), "a name of at most 256 bytes");
}

TEST(Pickle, OperationsOutsideTheListAreRefused) {
  for (const char op : "Ii0129BCdDFglLopPSVw\x81\x82\x83\x84\x8b\x8e\x8f\x90\x91\x92\x96\x97\x98"s)
    unsupported("}" + std::string(1, op) + "aaaaaaaaaaaaaaaa", "the pickle operation 0x");
}

TEST(Pickle, ListedNamesAreNoFunctionsToCall) {
  corrupt("ctorch\nFloatStorage\n)R.", "a function that makes a tensor or dict, got FloatStorage");
  corrupt("ctorch\nfloat32\n)R.", "a function that makes");
  corrupt("ccollections\nOrderedDict\nK\1\x85R.", "0 to 0 arguments of OrderedDict, got 1");
  corrupt("})R.", "a name, got a dict");
  corrupt("ctorch\nSize\nK\1\x85R.", "a tuple, got an int");
  corrupt("ctorch._utils\n_rebuild_parameter\n(K\1K\1K\1tR.", "a tensor, got an int");
  corrupt("ctorch._utils\n_rebuild_tensor_v2\n)R.", "6 to 7 arguments");
}

TEST(Pickle, WrongStacks) {
  corrupt("", "truncated");
  corrupt(".", "an object on the stack");
  corrupt("t.", "a mark on the stack");
  corrupt("(.", "an object on the stack");
  corrupt("}K\1K\1(s.", "an object on the stack");  // a mark hides what lies below it
  corrupt("}K\1(b.", "an object on the stack");
  corrupt("ccollections\nOrderedDict\n)(R.", "an object on the stack");
  corrupt("K\1(\x85.", "1 objects on the stack, got fewer");
  corrupt("(K\1u.", "keys with values");
  corrupt("(u.", "a dict to add to");
  corrupt("K\1K\1K\1s.", "a dict, got an int");
  corrupt("}K\1a.", "a list, got a dict");
  corrupt("h\0."s, "memorized as 0");
  corrupt("}q\5h\4.", "memorized as 4");
  corrupt("}r\xff\xff\xff\xff.", "a memo index below");
  corrupt("K\1}b.", "a dict or tensor that gets attributes");
  corrupt("\x80\x06.", "protocol up to 5");
}

TEST(Pickle, WrongTops) {
  corrupt("K\1.", "a dict, got an int");
  corrupt("].", "a dict, got a list");
  corrupt("}.", "a dict of tensors, got one with none among its 0 members");
  corrupt("}U\1aK\1s.", "none among its 1 members");
  corrupt("}K\1" + kTensor + "s.", "a string, got an int");
  corrupt("}(U\1w" + kTensor + "U\1w" + kTensor + "u.", "each tensor once, got 'w' twice");
}

std::string tensor(const std::string& storage, const std::string& rest) {
  return "}U\1wctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + "\x89}tRs.";
}

TEST(Pickle, WrongTensors) {
  const std::string minus = "J\xff\xff\xff\xff";
  corrupt(tensor(kStorage, minus + "K\6\x85K\1\x85"), "a number from 0, got -1");
  corrupt(tensor(kStorage, "K\0"s + minus + "\x85K\1\x85"), "a number from 0, got -1");
  corrupt(tensor(kStorage, "K\0K\6\x85"s + minus + "\x85"), "a number from 0, got -1");
  corrupt(tensor(kStorage, "K\0G"s + std::string(8, '\x7f') + "\x85K\1\x85"), "an int, got a float");
  corrupt(tensor(kStorage, "K\0K\6K\1\x85"s), "a tuple, got an int");
  corrupt(tensor("K\1", "K\0K\6\x85K\1\x85"s), "a storage, got an int");
  corrupt(tensor(kStorage, "K\0("s + std::string(40, 'N') + "tK\1\x85"), "at most 16 dimensions");
  const std::string id = "U\0010U\3cpu", rest = "K\0K\6\x85K\1\x85"s, huge = "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
  corrupt(tensor("(U\7storagectorch\nFloatStorage\n" + id + huge + "tQ", rest), "a storage below 2^63 bytes");
  corrupt(tensor("(U\7storagectorch.storage\nUntypedStorage\n" + id + "K\6tQ", rest), "one dtype");
  corrupt(tensor("(U\7storagectorch\nSize\n" + id + "K\6tQ", rest), "a storage type, got Size");
  corrupt(tensor("(U\6modulectorch\nFloatStorage\n" + id + "K\6tQ", rest), "a persistent id of a storage");
  corrupt("\x8a\x09" + std::string(9, '\1') + ".", "an integer of at most 8 bytes");
  corrupt("X\xff\xff\xff\xff.", "truncated");
  corrupt("\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "a string below 2^32 bytes");
}

TEST(Pickle, CyclesAndDepthAreHarmless) {
  EXPECT_EQ(parse("}q\0(U\1wh\0U\1x"s + kTensor + "u.").size(), 1u);
  EXPECT_EQ(parse("}q\0(U\nstate_dicth\0U\1x"s + kTensor + "u.").size(), 1u);
  corrupt("}q\0U\nstate_dicth\0s."s, "none among its 1 members");
  const std::string deep = "}(U\1w" + kTensor + "U\1d]" + std::string(100000, '\x85') + "u.";
  EXPECT_EQ(parse(deep).size(), 1u);
}

TEST(Pickle, WorkIsBounded) {
  corrupt(std::string(3'000'000, 'N') + ".", "at most 2000000 pickle operations");
  corrupt(std::string(3'000'000, '('), "at most 2000000 pickle operations");
  std::string many = "ctorch._utils\n_rebuild_tensor_v2\nq\0("s + kStorage + "K\0K\6\x85K\1\x85\x89}tq\1"s;
  for (int i = 0; i < 150'000; ++i) many += "h\0h\1R"s;
  corrupt(many + ".", "at most 100000 tensors");
}

TEST(Pickle, EveryTruncationIsAnError) {
  const std::string whole = "}(U\1w" + kTensor + "U\1n\x8a\2\1\1" + "u.";
  EXPECT_EQ(parse(whole).size(), 1u);
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_THROW(parse(whole.substr(0, n)), Error) << n;
}

}  // namespace
}  // namespace transom
