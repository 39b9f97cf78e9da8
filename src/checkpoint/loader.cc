// Binding and loading: see loader.h.
#include "checkpoint/loader.h"

#include <cstring>
#include <unordered_set>

#include "base/error.h"
#include "base/log.h"
#include "tensor/arena.h"
#include "tensor/quant.h"

namespace transom {
namespace {

// The names under which a checkpoint may hold a tensor: as the rules say, with or without the base model's prefix, and
// with the old spelling of LayerNorm's parameters.
const TensorEntry* find_entry(const TensorSource& source, const std::string& name, std::string_view prefix) {
  const auto spelled = [&](const std::string& n) -> const TensorEntry* {
    if (const TensorEntry* e = source.find(n)) return e;
    for (const auto& [now, once] : {std::pair{".weight", ".gamma"}, std::pair{".bias", ".beta"}})
      if (n.ends_with(now))
        if (const TensorEntry* e = source.find(n.substr(0, n.size() - std::strlen(now)) + once)) return e;
    return nullptr;
  };
  if (const TensorEntry* e = spelled(name)) return e;
  if (prefix.empty()) return nullptr;
  const std::string dotted = std::string(prefix) + ".";
  if (const TensorEntry* e = spelled(dotted + name)) return e;
  return name.starts_with(dotted) ? spelled(name.substr(dotted.size())) : nullptr;
}

void check_shape(const Param& p, const TensorEntry& e, const TensorSource& source) {
  const std::vector<int64_t> want = p.kind == ParamKind::kVector ? std::vector<int64_t>{p.cols} : std::vector<int64_t>{p.rows, p.cols};
  if (e.shape != want)
    fail(Code::kCorrupt, source.path(), "expected shape {}, got {} ({})", shape_text(want), shape_text(e.shape), e.name);
  if (!can_dequantize(e.dtype))
    fail(Code::kUnsupported, source.path(), "expected a number type that can be read, got {} ({})", name(e.dtype), e.name);
}

std::string list(const std::vector<std::string>& names) {
  std::string s;
  for (size_t i = 0; i < names.size() && i < 5; ++i) s += (i ? ", " : "") + names[i];
  if (names.size() > 5) s += fmt::format(" and {} more", names.size() - 5);
  return s;
}

bool same_bytes(const TensorEntry& a, const TensorEntry& b) {
  const auto x = TensorSource::data(a), y = TensorSource::data(b);
  return a.dtype == b.dtype && x.size() == y.size() && (x.data() == y.data() || std::memcmp(x.data(), y.data(), x.size()) == 0);
}

// A head that is present although tied: equal to its partner it is the same weight, different it wins (trap 10).
bool tied_is_shared(const Param& p, const TensorEntry& own, const TensorSource& source, const Rules& rules,
                    std::string_view prefix, std::vector<std::string>& warnings) {
  const TensorEntry* partner = find_entry(source, rules.tensor_name(p.tied->name), prefix);
  if (partner && same_bytes(own, *partner)) return true;
  warnings.push_back(fmt::format("{} is present and differs from {} although the config ties them: the checkpoint's own is used",
                                 p.name, p.tied->name));
  return false;
}

}  // namespace

Bindings bind_params(ParamTable& params, const TensorSource& source, const Rules& rules, std::string_view prefix,
                     const LoadOptions& options) {
  Bindings out;
  std::vector<std::string> missing, unused;
  std::unordered_set<const TensorEntry*> used;
  for (Param& p : params.rows()) {
    const TensorEntry* e = find_entry(source, rules.tensor_name(p.name), prefix);
    if (!e && p.tied) continue;
    if (!e) {
      missing.push_back(rules.tensor_name(p.name));
      continue;
    }
    used.insert(e);
    check_shape(p, *e, source);
    if (p.tied && tied_is_shared(p, *e, source, rules, prefix, out.warnings)) continue;
    out.rows.push_back({&p, e, rules.offset(p.name)});
  }
  for (const TensorEntry& e : source.entries())
    if (!used.contains(&e) && !rules.drops(e.name)) unused.push_back(e.name);
  if (!missing.empty())
    fail(Code::kCorrupt, source.path(), "expected {} more tensors, got none of them ({})", missing.size(), list(missing));
  if (!unused.empty()) {
    const std::string what = fmt::format("expected only tensors that the model reads, got {} others ({})", unused.size(), list(unused));
    if (!options.allow_unused) fail(Code::kCorrupt, source.path(), "{}; --allow-unused ignores them", what);
    out.warnings.push_back(what);
  }
  return out;
}

Weight load_weight(const Binding& b) {
  const Param& p = *b.param;
  const std::span<const std::byte> bytes = TensorSource::data(*b.entry);
  Weight w;
  if (p.kind == ParamKind::kVector) {
    const std::shared_ptr<std::byte> memory = host_memory(sizeof(float) * p.cols);
    auto* values = reinterpret_cast<float*>(memory.get());
    dequantize_row(b.entry->dtype, bytes.data(), values, p.cols);
    for (int64_t i = 0; i < p.cols; ++i) values[i] = static_cast<float>(values[i] + b.offset);
    w.view = {memory.get(), DType::kF32, 1, p.cols, static_cast<int64_t>(sizeof(float)) * p.cols};
    w.owner = memory;
    return w;
  }
  w.view = {bytes.data(), b.entry->dtype, p.rows, p.cols, row_bytes(b.entry->dtype, p.cols)};
  w.owner = b.entry->file ? std::shared_ptr<const void>(b.entry->file) : std::shared_ptr<const void>(b.entry->owned);
  return w;
}

void share_tied(ParamTable& params) {
  for (Param& p : params.rows())
    if (p.tied && !p.weight) p.weight = p.tied->weight;
}

std::string reconcile_head_dim(Json& config, const TensorSource& source) {
  const auto number = [&](const char* key) -> int64_t {
    const auto it = config.find(key);
    return it != config.end() && it->is_number_integer() ? it->get<int64_t>() : 0;
  };
  const int64_t heads = number("num_attention_heads"), hidden = number("hidden_size");
  const int64_t kv_heads = number("num_key_value_heads") > 0 ? number("num_key_value_heads") : heads;
  if (heads <= 0 || hidden <= 0) return {};
  for (const TensorEntry& e : source.entries()) {
    if (!e.name.ends_with("layers.0.self_attn.k_proj.weight") && e.name != "blk.0.attn_k.weight") continue;
    if (e.shape.size() != 2 || e.shape[0] % kv_heads != 0) return {};
    const int64_t actual = e.shape[0] / kv_heads, said = number("head_dim");
    if (actual == (said > 0 ? said : hidden / heads)) return {};
    config["head_dim"] = actual;
    return fmt::format("head_dim is {} by the tensors ({} rows of {} over {} kv heads), {} {}: the tensors win", actual, e.shape[0],
                       e.name, kv_heads, said > 0 ? "the config says" : "hidden_size / num_attention_heads would give",
                       said > 0 ? said : hidden / heads);
  }
  return {};
}

}  // namespace transom
