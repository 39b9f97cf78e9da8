// The stages of tokenizer.json that the converters of vocab.h put together.
#include "text/unicode.h"
#include "text/vocab.h"

namespace transom::text {

Json json_sequence(const char* list_key, std::vector<Json> parts) {
  std::erase_if(parts, [](const Json& p) { return p.is_null(); });
  if (parts.empty()) return nullptr;
  if (parts.size() == 1) return std::move(parts[0]);
  return Json{{"type", "Sequence"}, {list_key, std::move(parts)}};
}

Json split_regex(std::string_view pattern) {
  return Json{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
}

Json byte_level(bool use_regex, bool add_prefix_space) {
  return Json{{"type", "ByteLevel"}, {"add_prefix_space", add_prefix_space}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Json replace_string(std::string_view from, std::string_view to) {
  return Json{{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

namespace {
std::string token_content(const TokenizerSpec& spec, int32_t id) {
  for (const AddedToken& t : spec.added_tokens)
    if (t.id == id) return t.content;
  return static_cast<size_t>(id) < spec.model.tokens.size() ? spec.model.tokens[id] : "";
}
}  // namespace

Json template_of(const TokenizerSpec& spec, const std::vector<int32_t>& before, const std::vector<int32_t>& after) {
  if (before.empty() && after.empty()) return nullptr;
  Json single = Json::array(), specials = Json::object();
  const auto add = [&](int32_t id) {
    const std::string name = token_content(spec, id);
    single.push_back({{"SpecialToken", {{"id", name}, {"type_id", 0u}}}});
    specials[name] = {{"id", name}, {"ids", {static_cast<uint64_t>(id)}}, {"tokens", {name}}};
  };
  for (int32_t id : before) add(id);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0u}}}});
  for (int32_t id : after) add(id);
  Json pair = single;
  for (Json item : single) {
    auto& inner = item.begin().value();
    inner["type_id"] = 1u;
    if (item.contains("Sequence")) inner["id"] = "B";
    pair.push_back(std::move(item));
  }
  return Json{{"type", "TemplateProcessing"}, {"single", std::move(single)}, {"pair", std::move(pair)}, {"special_tokens", std::move(specials)}};
}

Json metaspace_decoder(bool byte_fallback, bool strip) {
  std::vector<Json> parts{replace_string("\xE2\x96\x81", " ")};
  if (byte_fallback) parts.push_back({{"type", "ByteFallback"}});
  parts.push_back({{"type", "Fuse"}});
  if (strip) parts.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1u}, {"stop", 0u}});
  return json_sequence("decoders", std::move(parts));
}

std::string base64_encode(std::string_view bytes) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k) word = word << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += k <= bytes.size() - i ? kAlphabet[word >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string byte_level_text(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 4);
  for (char c : bytes) append_utf8(out, byte_to_char(static_cast<uint8_t>(c)));
  return out;
}

}  // namespace transom::text
