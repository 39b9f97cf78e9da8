// The post-processors of tokenizer.json: see post_processor.h.
#include "text/post_processor.h"

#include <limits>
#include <map>
#include <string>

#include "text/stage_json.h"

namespace transom::text {
namespace {

constexpr size_t kMaxIds = size_t{1} << 28;
using Parts = std::vector<std::vector<int32_t>>;

int32_t checked_id(const Json& v, const StageJson& j) {
  if (!v.is_number_unsigned() || v.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int32_t>::max()))
    fail(Code::kCorrupt, j.where(), "expected a token id in {}, got {}", j.type(), v.dump(-1, ' ', true).substr(0, 40));
  return v.get<int32_t>();
}

class TemplateProcessing : public PostProcessor {
 public:
  explicit TemplateProcessing(const StageJson& j) {
    std::map<std::string, std::vector<int32_t>> specials;
    const Json& tokens = j.at("special_tokens");
    if (!tokens.is_object()) fail(Code::kCorrupt, j.where(), "expected an object as 'special_tokens' of {}, got {}", j.type(), tokens.type_name());
    for (const auto& [name, token] : tokens.items()) {
      const auto ids = token.is_object() ? token.find("ids") : token.end();
      if (!token.is_object() || ids == token.end() || !ids->is_array())
        fail(Code::kCorrupt, j.where(), "expected a list 'ids' for special token {}, got none", quote(name, 60));
      for (const Json& id : *ids) specials[name].push_back(checked_id(id, j));
    }
    for (const Json& piece : j.array("single")) {
      if (pieces_.size() >= 64) fail(Code::kUnsupported, j.where(), "expected at most 64 pieces in a template, got {}", j.at("single").size());
      const bool special = piece.is_object() && piece.contains("SpecialToken");
      const bool sequence = piece.is_object() && piece.contains("Sequence");
      const Json* body = special ? &piece["SpecialToken"] : sequence ? &piece["Sequence"] : nullptr;
      if (!body || !body->is_object() || !body->contains("id") || !(*body)["id"].is_string())
        fail(Code::kCorrupt, j.where(), "expected SpecialToken or Sequence pieces in {}, got {}", j.type(), piece.dump(-1, ' ', true).substr(0, 60));
      const auto id = (*body)["id"].get<std::string>();
      if (special && !specials.contains(id))
        fail(Code::kCorrupt, j.where(), "expected special token {} under special_tokens, got none", quote(id, 60));
      if (sequence && id != "A") fail(Code::kCorrupt, j.where(), "expected sequence A in the single template, got {}", quote(id, 60));
      pieces_.push_back({sequence, special ? specials[id] : std::vector<int32_t>()});
      if (special) added_ += pieces_.back().ids.size();
    }
  }
  void apply(Parts& parts, bool add_special_tokens) const override {
    if (parts.size() != 1) fail(Code::kUnsupported, "tokenizer", "expected one part before TemplateProcessing, got {}", parts.size());
    if (pieces_.size() * (parts[0].size() + 1) > kMaxIds)
      fail(Code::kResource, "tokenizer", "expected at most {} ids from TemplateProcessing, got more", kMaxIds);
    Parts out;
    for (const Item& p : pieces_) {
      if (p.sequence) out.push_back(parts[0]);
      else if (add_special_tokens) out.push_back(p.ids);
    }
    parts = std::move(out);
  }
  size_t added() const override { return added_; }

 private:
  struct Item {
    bool sequence;
    std::vector<int32_t> ids;
  };
  std::vector<Item> pieces_;
  size_t added_ = 0;
};

// [CLS] A [SEP]; a further part ends in [SEP] and, for Roberta, also begins with it.
class ClsSep : public PostProcessor {
 public:
  ClsSep(const StageJson& j, bool roberta) : cls_(token(j, "cls")), sep_(token(j, "sep")), roberta_(roberta) {}
  void apply(Parts& parts, bool add_special_tokens) const override {
    if (!add_special_tokens) return;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (i == 0) parts[i].insert(parts[i].begin(), cls_);
      else if (roberta_) parts[i].insert(parts[i].begin(), sep_);
      parts[i].push_back(sep_);
    }
  }
  size_t added() const override { return 2; }

 private:
  static int32_t token(const StageJson& j, const char* key) {
    const Json& v = j.array(key);
    if (v.size() != 2 || !v[0].is_string())
      fail(Code::kCorrupt, j.where(), "expected [token, id] as '{}' of {}, got {}", key, j.type(), v.dump(-1, ' ', true).substr(0, 60));
    return checked_id(v[1], j);
  }
  int32_t cls_, sep_;
  bool roberta_;
};

// Changes offsets only, of which there are none here.
class ByteLevelProcessor : public PostProcessor {
 public:
  void apply(Parts&, bool) const override {}
  size_t added() const override { return 0; }
};

class ProcessorSequence : public PostProcessor {
 public:
  explicit ProcessorSequence(std::vector<std::unique_ptr<PostProcessor>> stages) : stages_(std::move(stages)) {}
  void apply(Parts& parts, bool add_special_tokens) const override {
    for (const auto& p : stages_) p->apply(parts, add_special_tokens);
  }
  size_t added() const override {
    size_t n = 0;
    for (const auto& p : stages_) n += p->added();
    return n;
  }

 private:
  std::vector<std::unique_ptr<PostProcessor>> stages_;
};

}  // namespace

std::unique_ptr<PostProcessor> make_post_processor(const Json& json, std::string_view context) {
  if (json.is_null()) return nullptr;
  const StageJson j(json, fmt::format("{} post_processor", context));
  const std::string& t = j.type();
  if (t == "TemplateProcessing") return std::make_unique<TemplateProcessing>(j);
  if (t == "BertProcessing") return std::make_unique<ClsSep>(j, false);
  if (t == "RobertaProcessing") return std::make_unique<ClsSep>(j, true);
  if (t == "ByteLevel") return std::make_unique<ByteLevelProcessor>();
  if (t == "Sequence") {
    std::vector<std::unique_ptr<PostProcessor>> stages;
    for (const Json& p : j.array("processors"))
      if (auto stage = make_post_processor(p, context)) stages.push_back(std::move(stage));
    return std::make_unique<ProcessorSequence>(std::move(stages));
  }
  j.unknown();
}

}  // namespace transom::text
