// The restricted unpickler: see pickle.h. Objects are nodes in one array and refer to each other by index, so that
// cycles and depth cost nothing.
#include "checkpoint/pickle.h"

#include <array>
#include <limits>
#include <optional>
#include <unordered_set>

#include "base/error.h"
#include "tensor/half.h"

namespace transom {
namespace {

// Bounds on what a pickle may make us keep: some 75,000 tensors, under 100 MB.
constexpr uint64_t kMaxOperations = 2'000'000;
constexpr size_t kMaxTensors = 100'000, kMaxRank = 16, kMaxName = 256, kMaxKey = 64;

enum class Kind : uint8_t { kNone, kBool, kInt, kFloat, kText, kTuple, kList, kDict, kGlobal, kStorage, kTensor };

std::string_view kind_name(Kind k) {
  constexpr std::array names = {"None", "a bool", "an int", "a float", "a string", "a tuple", "a list", "a dict", "a name", "a storage", "a tensor"};
  return names[static_cast<size_t>(k)];
}

enum class Global : uint8_t { kOrderedDict, kSize, kRebuild, kRebuildV2, kRebuildV3, kParameter, kStorage, kUntypedStorage, kDType };

struct KnownName {
  std::string_view module, name;
  Global what;
  DType dtype = DType::kU8;
};
constexpr std::array kNames = {
    KnownName{"collections", "OrderedDict", Global::kOrderedDict},
    KnownName{"torch", "Size", Global::kSize},
    KnownName{"torch._utils", "_rebuild_tensor", Global::kRebuild},
    KnownName{"torch._utils", "_rebuild_tensor_v2", Global::kRebuildV2},
    KnownName{"torch._utils", "_rebuild_tensor_v3", Global::kRebuildV3},
    KnownName{"torch._utils", "_rebuild_parameter", Global::kParameter},
    KnownName{"torch", "DoubleStorage", Global::kStorage, DType::kF64},
    KnownName{"torch", "FloatStorage", Global::kStorage, DType::kF32},
    KnownName{"torch", "HalfStorage", Global::kStorage, DType::kF16},
    KnownName{"torch", "BFloat16Storage", Global::kStorage, DType::kBF16},
    KnownName{"torch", "LongStorage", Global::kStorage, DType::kI64},
    KnownName{"torch", "IntStorage", Global::kStorage, DType::kI32},
    KnownName{"torch", "ShortStorage", Global::kStorage, DType::kI16},
    KnownName{"torch", "CharStorage", Global::kStorage, DType::kI8},
    KnownName{"torch", "ByteStorage", Global::kStorage, DType::kU8},
    KnownName{"torch", "BoolStorage", Global::kStorage, DType::kBool},
    KnownName{"torch", "ComplexFloatStorage", Global::kStorage, DType::kC64},
    KnownName{"torch.storage", "UntypedStorage", Global::kUntypedStorage},
    KnownName{"torch", "float64", Global::kDType, DType::kF64},
    KnownName{"torch", "float32", Global::kDType, DType::kF32},
    KnownName{"torch", "float16", Global::kDType, DType::kF16},
    KnownName{"torch", "bfloat16", Global::kDType, DType::kBF16},
    KnownName{"torch", "float8_e4m3fn", Global::kDType, DType::kF8E4M3},
    KnownName{"torch", "float8_e5m2", Global::kDType, DType::kF8E5M2},
    KnownName{"torch", "float8_e4m3fnuz", Global::kDType, DType::kF8E4M3Fnuz},
    KnownName{"torch", "float8_e5m2fnuz", Global::kDType, DType::kF8E5M2Fnuz},
    KnownName{"torch", "float8_e8m0fnu", Global::kDType, DType::kF8E8M0},
    KnownName{"torch", "int64", Global::kDType, DType::kI64},
    KnownName{"torch", "int32", Global::kDType, DType::kI32},
    KnownName{"torch", "int16", Global::kDType, DType::kI16},
    KnownName{"torch", "int8", Global::kDType, DType::kI8},
    KnownName{"torch", "uint64", Global::kDType, DType::kU64},
    KnownName{"torch", "uint32", Global::kDType, DType::kU32},
    KnownName{"torch", "uint16", Global::kDType, DType::kU16},
    KnownName{"torch", "uint8", Global::kDType, DType::kU8},
    KnownName{"torch", "bool", Global::kDType, DType::kBool},
    KnownName{"torch", "complex64", Global::kDType, DType::kC64},
};

using Ref = uint32_t;
constexpr Ref kNoRef = ~Ref{0};

// kInt: `value`. kText: `size` bytes at `value` of the pickle. kTuple: `size` refs at `value` of tuples_. kList, kDict,
// kStorage, kTensor: index `value` of their array. kGlobal: index `value` of kNames.
struct Node {
  Kind kind;
  uint32_t size = 0;
  int64_t value = 0;
};

struct Storage {
  std::string_view key;
  std::optional<DType> dtype;  // nothing for an untyped one, whose `elements` are bytes
  uint64_t elements;
};

class Unpickler {
 public:
  Unpickler(std::span<const std::byte> bytes, std::string_view context) : bytes_(bytes), context_(context) {}

  std::vector<PickledTensor> run() {
    for (uint64_t steps = 0;; ++steps) {
      if (steps == kMaxOperations) error("at most {} pickle operations, got more", kMaxOperations);
      const auto op = take<uint8_t>();
      if (op == '.') break;
      step(op);
    }
    return state_dict(pop());
  }

 private:
  template <class... Args>
  [[noreturn]] void error(fmt::format_string<Args...> f, Args&&... args) const {
    fail(Code::kCorrupt, context_, "expected {} (pickle byte {})", fmt::format(f, std::forward<Args>(args)...), position_);
  }

  // Reading.
  const std::byte* take(uint64_t n) {
    if (n > bytes_.size() - position_) error("{} more bytes of pickle, got {}: it is truncated", n, bytes_.size() - position_);
    const std::byte* p = bytes_.data() + position_;
    position_ += n;
    return p;
  }
  template <class T>
  T take() { return load_le<T>(take(sizeof(T))); }
  std::string_view line() {
    const size_t start = position_;
    while (take<uint8_t>() != '\n')
      if (position_ - start > kMaxName) error("a name of at most {} bytes, got more", kMaxName);
    return {reinterpret_cast<const char*>(bytes_.data()) + start, position_ - start - 1};
  }

  // The stack. A mark hides what lies below it, as in CPython.
  void push(Node n) {
    stack_.push_back(static_cast<Ref>(nodes_.size()));
    nodes_.push_back(n);
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Ref top() const {
    if (stack_.size() <= floor()) error("an object on the stack, got none");
    return stack_.back();
  }
  Ref pop() {
    const Ref r = top();
    stack_.pop_back();
    return r;
  }
  // The objects since the last mark, which goes.
  std::span<const Ref> marked() {
    if (marks_.empty()) error("a mark on the stack, got none");
    const size_t from = marks_.back();
    marks_.pop_back();
    return std::span<const Ref>(stack_).subspan(from);
  }
  Node node(Ref r, Kind kind) const {
    if (nodes_[r].kind != kind) error("{}, got {}", kind_name(kind), kind_name(nodes_[r].kind));
    return nodes_[r];
  }

  std::string_view text(Ref r) const {
    const Node n = node(r, Kind::kText);
    return {reinterpret_cast<const char*>(bytes_.data()) + n.value, n.size};
  }
  std::span<const Ref> tuple(Ref r) const {
    const Node n = node(r, Kind::kTuple);
    return std::span<const Ref>(tuples_).subspan(static_cast<size_t>(n.value), n.size);
  }
  uint64_t whole(Ref r) const {
    const Node n = node(r, Kind::kInt);
    if (n.value < 0) error("a number from 0, got {}", n.value);
    return static_cast<uint64_t>(n.value);
  }

  void push_text(uint64_t n) {
    if (n > std::numeric_limits<uint32_t>::max()) error("a string below 2^32 bytes, got {}", n);
    take(n);
    push({Kind::kText, static_cast<uint32_t>(n), static_cast<int64_t>(position_ - n)});
  }
  void push_long() {
    const auto n = take<uint8_t>();
    if (n > 8) error("an integer of at most 8 bytes, got {}", n);
    const std::byte* p = take(n);
    uint64_t value = n > 0 && (p[n - 1] & std::byte{0x80}) != std::byte{0} ? ~uint64_t{0} : 0;
    for (int i = n; i-- > 0;) value = value << 8 | std::to_integer<uint64_t>(p[i]);
    push({Kind::kInt, 0, static_cast<int64_t>(value)});
  }
  void push_container(Kind kind) {
    push({kind, 0, static_cast<int64_t>(containers_.size())});
    containers_.emplace_back();
  }
  void push_tuple(std::span<const Ref> items) {
    const auto at = static_cast<int64_t>(tuples_.size());
    const auto n = static_cast<uint32_t>(items.size());
    tuples_.insert(tuples_.end(), items.begin(), items.end());
    stack_.resize(stack_.size() - n);
    push({Kind::kTuple, n, at});
  }
  void push_last(size_t n) {
    if (stack_.size() - floor() < n) error("{} objects on the stack, got fewer", n);
    push_tuple(std::span<const Ref>(stack_).subspan(stack_.size() - n));
  }

  void push_global(std::string_view module, std::string_view name) {
    for (size_t i = 0; i < kNames.size(); ++i)
      if (kNames[i].module == module && kNames[i].name == name) return push({Kind::kGlobal, 0, static_cast<int64_t>(i)});
    fail(Code::kUnsupported, context_, "expected tensors only, got the name {} (nothing was executed; pickle byte {})",
         quote(std::string(module.substr(0, kMaxName)) + "." + std::string(name.substr(0, kMaxName))), position_);
  }

  void step(uint8_t op) {
    switch (op) {
      case 0x80: if (const auto v = take<uint8_t>(); v > 5) error("pickle protocol up to 5, got {}", v); return;
      case 0x95: take(8); return;  // FRAME: a hint
      case '(': marks_.push_back(stack_.size()); return;
      case 'N': return push({Kind::kNone});
      case 0x88: return push({Kind::kBool, 0, 1});
      case 0x89: return push({Kind::kBool, 0, 0});
      case 'J': return push({Kind::kInt, 0, take<int32_t>()});
      case 'K': return push({Kind::kInt, 0, take<uint8_t>()});
      case 'M': return push({Kind::kInt, 0, take<uint16_t>()});
      case 0x8a: return push_long();
      case 'G': take(8); return push({Kind::kFloat});
      case 'X': case 'T': return push_text(take<uint32_t>());
      case 0x8c: case 'U': return push_text(take<uint8_t>());
      case 0x8d: return push_text(take<uint64_t>());
      case ')': return push_last(0);
      case 0x85: return push_last(1);
      case 0x86: return push_last(2);
      case 0x87: return push_last(3);
      case 't': return push_tuple(marked());
      case ']': return push_container(Kind::kList);
      case '}': return push_container(Kind::kDict);
      default: return step_objects(op);
    }
  }

  void step_objects(uint8_t op) {
    switch (op) {
      case 'a': { const Ref item = pop(); return add(Kind::kList, {&item, 1}, 0); }
      case 'e': { const auto items = marked(); return add(Kind::kList, items, items.size()); }
      case 's': {
        const Ref value = pop(), key = pop(), pair[] = {key, value};
        return add(Kind::kDict, pair, 0);
      }
      case 'u': {
        const auto items = marked();
        if (items.size() % 2 != 0) error("keys with values, got {} objects", items.size());
        return add(Kind::kDict, items, items.size());
      }
      case 'c': { const auto module = line(); return push_global(module, line()); }
      case 0x93: { const Ref name = pop(), module = pop(); return push_global(text(module), text(name)); }
      case 'q': return memorize(take<uint8_t>());
      case 'r': return memorize(take<uint32_t>());
      case 0x94: return memorize(memo_.size());
      case 'h': return recall(take<uint8_t>());
      case 'j': return recall(take<uint32_t>());
      case 'Q': return push_storage();
      case 'R': return reduce();
      case 'b': {  // attributes of an object, as a state dict's _metadata: not needed
        pop();
        const Kind k = nodes_[top()].kind;
        if (k != Kind::kDict && k != Kind::kTensor) error("a dict or tensor that gets attributes, got {}", kind_name(k));
        return;
      }
      default:
        fail(Code::kUnsupported, context_, "expected tensors only, got the pickle operation {:#04x} (pickle byte {})", op, position_ - 1);
    }
  }

  void memorize(size_t index) {
    if (index >= kMaxOperations) error("a memo index below {}, got {}", kMaxOperations, index);
    if (index >= memo_.size()) memo_.resize(index + 1, kNoRef);
    memo_[index] = top();
  }
  void recall(uint32_t index) {
    if (index >= memo_.size() || memo_[index] == kNoRef) error("an object memorized as {}, got none", index);
    stack_.push_back(memo_[index]);
  }

  // Adds to the container below `drop` objects, which then go.
  void add(Kind kind, std::span<const Ref> items, size_t drop) {
    if (stack_.size() - floor() <= drop) error("{} to add to, got an empty stack", kind_name(kind));
    const Node n = node(stack_[stack_.size() - 1 - drop], kind);
    auto& to = containers_[static_cast<size_t>(n.value)];
    to.insert(to.end(), items.begin(), items.end());
    stack_.resize(stack_.size() - drop);
  }

  // ("storage", type, key, location, elements)
  void push_storage() {
    const auto id = tuple(pop());
    if (id.size() != 5 || text(id[0]) != "storage") error("a persistent id of a storage, got a tuple of {}", id.size());
    const KnownName& type = kNames[static_cast<size_t>(node(id[1], Kind::kGlobal).value)];
    if (type.what != Global::kStorage && type.what != Global::kUntypedStorage) error("a storage type, got {}", type.name);
    const bool typed = type.what == Global::kStorage;
    if (text(id[2]).size() > kMaxKey) error("a storage key of at most {} bytes, got {}", kMaxKey, text(id[2]).size());
    storages_.push_back({text(id[2]), typed ? std::optional(type.dtype) : std::nullopt, whole(id[4])});
    push({Kind::kStorage, 0, static_cast<int64_t>(storages_.size() - 1)});
  }

  void reduce() {
    const auto args = tuple(pop());
    const KnownName& callee = kNames[static_cast<size_t>(node(pop(), Kind::kGlobal).value)];
    const auto takes = [&](size_t least, size_t most) {
      if (args.size() < least || args.size() > most) error("{} to {} arguments of {}, got {}", least, most, callee.name, args.size());
    };
    switch (callee.what) {
      case Global::kOrderedDict: takes(0, 0); return push_container(Kind::kDict);
      case Global::kSize: takes(1, 1); tuple(args[0]); stack_.push_back(args[0]); return;
      case Global::kParameter: takes(3, 3); node(args[0], Kind::kTensor); stack_.push_back(args[0]); return;
      case Global::kRebuild: takes(4, 4); return push_tensor(args, std::nullopt);
      case Global::kRebuildV2: takes(6, 7); no_flags(args, 6); return push_tensor(args, std::nullopt);
      case Global::kRebuildV3: {
        takes(7, 8);
        no_flags(args, 7);
        const KnownName& dtype = kNames[static_cast<size_t>(node(args[6], Kind::kGlobal).value)];
        if (dtype.what != Global::kDType) error("a dtype, got {}", dtype.name);
        return push_tensor(args, dtype.dtype);
      }
      case Global::kStorage: case Global::kUntypedStorage: case Global::kDType: break;
    }
    error("a function that makes a tensor or dict, got {}", callee.name);
  }

  // Tensor metadata marks lazily conjugated or negated views.
  void no_flags(std::span<const Ref> args, size_t at) const {
    if (args.size() <= at || nodes_[args[at]].kind == Kind::kNone) return;
    if (!containers_[static_cast<size_t>(node(args[at], Kind::kDict).value)].empty())
      fail(Code::kUnsupported, context_, "expected plain tensors, got a lazily conjugated or negated one (pickle byte {})", position_);
  }

  std::vector<int64_t> numbers(Ref r) const {
    const auto items = tuple(r);
    if (items.size() > kMaxRank) error("at most {} dimensions, got {}", kMaxRank, items.size());
    std::vector<int64_t> out;
    for (const Ref i : items) out.push_back(static_cast<int64_t>(whole(i)));
    return out;
  }

  // args: storage, offset, size, strides, …; `dtype` for an untyped storage.
  void push_tensor(std::span<const Ref> args, std::optional<DType> dtype) {
    const Storage& s = storages_[static_cast<size_t>(node(args[0], Kind::kStorage).value)];
    if (s.dtype.has_value() == dtype.has_value()) error("one dtype, of the storage or of the tensor, got {}", dtype ? "two" : "none");
    const auto width = s.dtype ? static_cast<uint64_t>(info(*s.dtype).bytes) : 1;
    if (s.elements > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / width) error("a storage below 2^63 bytes, got {} elements", s.elements);
    PickledTensor t{{}, s.dtype ? *s.dtype : *dtype, std::string(s.key), s.elements * width, whole(args[1]), numbers(args[2]), numbers(args[3])};
    if (t.shape.size() != t.strides.size()) error("a stride for each of {} dimensions, got {}", t.shape.size(), t.strides.size());
    if (tensors_.size() == kMaxTensors) error("at most {} tensors, got more", kMaxTensors);
    tensors_.push_back(std::move(t));
    push({Kind::kTensor, 0, static_cast<int64_t>(tensors_.size() - 1)});
  }

  std::vector<PickledTensor> state_dict(Ref r) const {
    const auto* items = &containers_[static_cast<size_t>(node(r, Kind::kDict).value)];
    std::vector<PickledTensor> out = members(*items);
    for (size_t i = 0; out.empty() && i < items->size(); i += 2) {
      const Node key = nodes_[(*items)[i]], value = nodes_[(*items)[i + 1]];
      if (key.kind == Kind::kText && value.kind == Kind::kDict && text((*items)[i]) == "state_dict")
        out = members(containers_[static_cast<size_t>(value.value)]);
    }
    if (out.empty()) error("a dict of tensors, got one with none among its {} members", items->size() / 2);
    return out;
  }

  std::vector<PickledTensor> members(const std::vector<Ref>& items) const {
    std::vector<PickledTensor> out;
    std::unordered_set<std::string_view> names;
    for (size_t i = 0; i < items.size(); i += 2) {
      if (nodes_[items[i + 1]].kind != Kind::kTensor) continue;
      const std::string_view name = text(items[i]);
      if (out.size() == kMaxTensors) error("at most {} tensors, got more", kMaxTensors);
      if (!names.insert(name).second) error("each tensor once, got {} twice", quote(name));
      out.push_back(tensors_[static_cast<size_t>(nodes_[items[i + 1]].value)]);
      out.back().name = name;
    }
    return out;
  }

  std::span<const std::byte> bytes_;
  std::string_view context_;
  size_t position_ = 0;
  std::vector<Node> nodes_;
  std::vector<Ref> stack_, tuples_, memo_;
  std::vector<size_t> marks_;
  std::vector<std::vector<Ref>> containers_;
  std::vector<Storage> storages_;
  std::vector<PickledTensor> tensors_;
};

}  // namespace

std::vector<PickledTensor> unpickle_state_dict(std::span<const std::byte> pickle, std::string_view context) {
  return Unpickler(pickle, context).run();
}

}  // namespace transom
