// Normalizers: text in, text out, each as Hugging Face `tokenizers` defines it (tokenizers/src/normalizers).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace transom::text {

// A piece of text on its way through the normalizers. `start_bytes` says how many of its leading bytes stem from the very
// first character of the whole input: Metaspace's "first" scheme asks for that after splitting.
struct NormalizedText {
  std::string s;
  size_t start_bytes = 0;
  // Longer than this no stage may make it: a few replacements in a row could fill any memory.
  size_t limit = (size_t{16} << 20) + 256 * s.size();

  void check_size(size_t size) const;  // throws Error{kResource}
};

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(NormalizedText& text) const = 0;
  // Whether `s` would come out unchanged, if that is cheap to say; lets encode() work on the caller's text in place.
  virtual bool leaves(std::string_view s) const { return s.empty(); }
};

// From tokenizer.json's "normalizer"; null for a JSON null. Throws Error{kCorrupt, kUnsupported} naming the stage.
std::unique_ptr<Normalizer> make_normalizer(const Json& json, std::string_view context);

// One Unicode normalization form (0 NFC, 1 NFD, 2 NFKC, 3 NFKD).
std::string unicode_normalize(std::string_view s, int form);

}  // namespace transom::text
