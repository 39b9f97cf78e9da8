// Parser and backtracking matcher for the simple regular expressions of pre-tokenizers. Every character of the text is
// mapped to a bit set of the character classes that it is in; a repetition is then a scan for one bit.
#include "text/pattern_matcher.h"

#include <array>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/unicode.h"

namespace transom::text {
namespace {

constexpr uint32_t kMany = std::numeric_limits<uint32_t>::max();
constexpr size_t kNoMatch = std::string_view::npos;
constexpr uint32_t kSpaceGcs = 1u << kZs | 1u << kZl | 1u << kZp;

struct Range {
  char32_t first, last;
};

// A set of characters: general categories and ranges, maybe all the others instead.
struct CharSet {
  uint32_t gcs = 0;
  std::vector<Range> ranges;
  bool negated = false;

  bool has(char32_t c) const {
    bool in = gcs >> props(c).gc() & 1;
    for (const Range& r : ranges) in = in || (c >= r.first && c <= r.last);
    return in != negated;
  }
  bool operator==(const CharSet& o) const {
    if (gcs != o.gcs || negated != o.negated || ranges.size() != o.ranges.size()) return false;
    for (size_t i = 0; i < ranges.size(); ++i)
      if (ranges[i].first != o.ranges[i].first || ranges[i].last != o.ranges[i].last) return false;
    return true;
  }
};

struct Item;
using Seq = std::vector<Item>;

struct Item {
  enum Kind { kClass, kGroup, kNotAhead } kind = kClass;
  uint32_t cls = 0;
  uint32_t min = 1, max = 1;
  bool possessive = false;
  std::vector<Seq> alts;  // of a group, which is taken once or, with min = 0, at most once
};

// Parses the pattern; `ok` turns false at anything that is not of the simple shape.
class Parser {
 public:
  explicit Parser(std::string_view p) : p_(p) {}

  bool parse(std::vector<Seq>& alts) {
    alts = parse_alts(0);
    return ok_ && at_ == p_.size() && classes.size() <= 64;
  }

  std::vector<CharSet> classes;

 private:
  bool more() const { return ok_ && at_ < p_.size(); }
  bool eat(std::string_view s) {
    if (p_.substr(at_, s.size()) != s) return false;
    at_ += s.size();
    return true;
  }
  void give_up() { ok_ = false; }

  std::vector<Seq> parse_alts(int depth) {
    std::vector<Seq> alts(1);
    while (more() && p_[at_] != ')') {
      if (eat("|")) {
        alts.emplace_back();
        continue;
      }
      parse_item(alts.back(), depth);
    }
    return alts;
  }

  void parse_item(Seq& seq, int depth) {
    Item item;
    if (eat("(?!\\S)")) {
      item.kind = Item::kNotAhead;
      item.cls = class_id(not_space());
      seq.push_back(std::move(item));
      return;
    }
    const bool folds = eat("(?i:");
    if (folds || eat("(?:")) {
      if (depth > 0) return give_up();
      item.kind = Item::kGroup;
      const bool outer = std::exchange(ignore_case_, folds);
      item.alts = parse_alts(depth + 1);
      ignore_case_ = outer;
      if (!eat(")")) return give_up();
    } else {
      CharSet set;
      if (p_[at_] == '[') parse_class(set);
      else parse_atom(set, false);
      if (!ok_) return;
      if (ignore_case_ && !fold_case(set, seq)) return give_up();
      item.cls = class_id(set);
    }
    parse_quantifier(item);
    seq.push_back(std::move(item));
  }

  void parse_quantifier(Item& item) {
    if (eat("?")) item.min = 0;
    else if (eat("*")) item.min = 0, item.max = kMany;
    else if (eat("+")) item.max = kMany;
    else if (more() && p_[at_] == '{') return parse_counts(item);
    else return;
    if (more() && p_[at_] == '?') return give_up();
    if (eat("+")) item.possessive = true;
    if (more() && (p_[at_] == '+' || p_[at_] == '*' || p_[at_] == '?' || p_[at_] == '{')) give_up();
    if (item.kind == Item::kGroup && (item.max != 1 || item.possessive)) give_up();
  }

  void parse_counts(Item& item) {
    ++at_;
    const auto number = [&](uint32_t& v) {
      const size_t from = at_;
      for (v = 0; more() && p_[at_] >= '0' && p_[at_] <= '9' && v < 1000; ++at_) v = v * 10 + (p_[at_] - '0');
      return at_ > from && v < 1000;
    };
    if (!number(item.min)) return give_up();
    item.max = item.min;
    if (eat(",") && !number(item.max)) {
      if (!more() || p_[at_] != '}') return give_up();
      item.max = kMany;
    }
    if (!eat("}") || item.max < item.min || item.max == 0 || item.kind == Item::kGroup) return give_up();
    if (more() && (p_[at_] == '+' || p_[at_] == '*' || p_[at_] == '?' || p_[at_] == '{')) give_up();
  }

  static CharSet not_space() {
    CharSet s = space();
    s.negated = true;
    return s;
  }
  static CharSet space() { return {kSpaceGcs, {{9, 13}, {0x85, 0x85}}, false}; }

  // One character or class escape, added to `set`.
  void parse_atom(CharSet& set, bool in_class) {
    const char c = p_[at_];
    if (c != '\\') {
      if (!in_class && std::string_view(".^$*+?{}()|[]").find(c) != std::string_view::npos) return give_up();
      const Decoded d = decode_utf8(p_.data() + at_);
      at_ += d.len;
      set.ranges.push_back({d.c, d.c});
      return;
    }
    if (at_ + 1 >= p_.size()) return give_up();
    const char e = p_[at_ + 1];
    at_ += 2;
    if (e == 's') merge(set, space());
    else if (e == 'S' && !in_class) set = not_space();
    else if (e == 'd') set.gcs |= 1u << kNd;
    else if (e == 'p' || (e == 'P' && !in_class)) parse_property(set, e == 'P');
    else if (const size_t i = std::string_view("rntfv").find(e); i != std::string_view::npos) add(set, "\r\n\t\f\v"[i]);
    else if (static_cast<unsigned char>(e) < 0x80 && !isalnum(static_cast<unsigned char>(e))) add(set, e);
    else give_up();
  }

  static void add(CharSet& set, char c) { set.ranges.push_back({static_cast<char32_t>(c), static_cast<char32_t>(c)}); }
  static void merge(CharSet& set, const CharSet& more) {
    set.gcs |= more.gcs;
    set.ranges.insert(set.ranges.end(), more.ranges.begin(), more.ranges.end());
  }

  void parse_property(CharSet& set, bool negated) {
    static constexpr std::string_view kNames = "CnLuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZp";
    const size_t close = p_.find('}', at_);
    if (!eat("{") || close == std::string_view::npos) return give_up();
    const std::string_view name = p_.substr(at_, close - at_);
    at_ = close + 1;
    uint32_t gcs = 0;
    for (size_t g = 1; g * 2 < kNames.size(); ++g)
      if (kNames.substr(g * 2, name.size()) == name && (name.size() == 1 || name.size() == 2)) gcs |= 1u << g;
    if (gcs == 0) return give_up();
    set.gcs |= gcs;
    if (negated) set.negated = true;
  }

  void parse_class(CharSet& set) {
    ++at_;
    set.negated = eat("^");
    bool first = true;
    while (more() && (p_[at_] != ']' || first)) {
      first = false;
      if (p_[at_] == '[' || p_[at_] == ']' || p_.substr(at_, 2) == "&&") return give_up();
      const size_t before = set.ranges.size();
      const bool negated = set.negated;
      parse_atom(set, true);
      if (!ok_ || set.negated != negated) return give_up();
      if (more() && p_[at_] == '-' && at_ + 1 < p_.size() && p_[at_ + 1] != ']') {
        if (set.ranges.size() != before + 1 || set.ranges.back().first != set.ranges.back().last) return give_up();
        ++at_;
        CharSet last;
        if (p_[at_] == '[') return give_up();
        parse_atom(last, true);
        if (!ok_ || last.gcs || last.ranges.size() != 1 || last.ranges[0].first < set.ranges.back().first) return give_up();
        set.ranges.back().last = last.ranges[0].first;
      }
    }
    if (!eat("]")) give_up();
  }

  // Adds the other case of ASCII letters, with the long s and the Kelvin sign. What Oniguruma folds over several letters
  // (ss, st, ff, fi, fl), and anything that is not ASCII, is left to it.
  bool fold_case(CharSet& set, const Seq& before) const {
    if (set.gcs || set.negated) return false;
    std::vector<Range> more;
    for (const Range& r : set.ranges) {
      if (r.last >= 0x80) return false;
      for (char32_t c = r.first; c <= r.last; ++c) {
        const char32_t low = c | 0x20;
        if (low < 'a' || low > 'z') continue;
        if ((low == 's' || low == 't' || low == 'f' || low == 'i' || low == 'l') && !before.empty() &&
            before.back().kind == Item::kClass &&
            (classes[before.back().cls].has('s') || classes[before.back().cls].has('f')))
          return false;
        more.push_back({c ^ 0x20, c ^ 0x20});
        if (low == 's') more.push_back({0x17F, 0x17F});
        if (low == 'k') more.push_back({0x212A, 0x212A});
      }
    }
    set.ranges.insert(set.ranges.end(), more.begin(), more.end());
    return true;
  }

  uint32_t class_id(const CharSet& set) {
    for (uint32_t i = 0; i < classes.size(); ++i)
      if (classes[i] == set) return i;
    classes.push_back(set);
    return static_cast<uint32_t>(classes.size() - 1);
  }

  std::string_view p_;
  size_t at_ = 0;
  bool ok_ = true, ignore_case_ = false;
};

size_t min_length(const Seq& seq) {
  size_t n = 0;
  for (const Item& item : seq) {
    if (item.kind == Item::kNotAhead || item.min == 0) continue;
    size_t own = 1;
    for (const Seq& alt : item.alts) own = std::min(own, min_length(alt));
    n += own;
  }
  return n;
}

class PatternMatcher : public Regex {
 public:
  PatternMatcher(std::vector<Seq> alts, std::vector<CharSet> classes) : alts_(std::move(alts)), classes_(std::move(classes)) {
    for (uint32_t i = 0; i < classes_.size(); ++i) {
      for (char32_t c = 0; c < kLow; ++c)
        if (classes_[i].has(c)) low_[c] |= uint64_t{1} << i;
      CharSet by_gc = classes_[i];
      std::erase_if(by_gc.ranges, [](const Range& r) { return r.last < kLow; });
      if (!by_gc.ranges.empty()) ranged_ |= uint64_t{1} << i;
      for (int g = 0; g < kGcCount; ++g)
        if (((by_gc.gcs >> g & 1) != 0) != by_gc.negated) gc_bits_[g] |= uint64_t{1} << i;
    }
    for (const Seq& alt : alts_) first_.push_back(first_classes(alt));
  }

  std::optional<Match> search(std::string_view s, size_t from) const override {
    Text text{s};
    for (size_t p = from; p < s.size(); p += utf8_len(s[p])) {
      const uint64_t bits = bits_at(s, p).bits;
      for (size_t a = 0; a < alts_.size(); ++a) {
        if (!(first_[a] & bits)) continue;
        const size_t end = match(text, p, {alts_[a].data(), alts_[a].data() + alts_[a].size(), nullptr});
        if (end != kNoMatch) return Match{p, end};
      }
    }
    return std::nullopt;
  }

 private:
  static constexpr char32_t kLow = 0x800;

  // What is still to be matched: the rest of a sequence, then that of the sequence around it.
  struct Rest {
    const Item* item;
    const Item* end;
    const Rest* outer;
  };
  struct CharBits {
    uint64_t bits;
    uint32_t len;
  };
  struct Text {
    std::string_view s;
    size_t steps = 0;  // of backtracking, which a hostile pattern could make endless
  };
  static constexpr size_t kMaxSteps = 10'000'000;

  CharBits bits_at(std::string_view s, size_t p) const {
    const auto b = static_cast<unsigned char>(s[p]);
    if (b < 0x80) return {low_[b], 1};
    const Decoded d = decode_utf8(s.data() + p);
    if (d.c < kLow) return {low_[d.c], d.len};
    uint64_t bits = gc_bits_[props(d.c).gc()];
    if (ranged_) {
      for (uint32_t i = 0; i < classes_.size(); ++i)
        if (ranged_ >> i & 1) bits = (bits & ~(uint64_t{1} << i)) | uint64_t{classes_[i].has(d.c)} << i;
    }
    return {bits, d.len};
  }

  // Classes of which one must hold the first character of a match of `seq`.
  static uint64_t first_classes(const Seq& seq) {
    uint64_t bits = 0;
    for (const Item& item : seq) {
      if (item.kind == Item::kNotAhead) continue;
      if (item.kind == Item::kClass) bits |= uint64_t{1} << item.cls;
      for (const Seq& alt : item.alts) bits |= first_classes(alt);
      if (item.min > 0) break;
    }
    return bits;
  }

  size_t match(Text& text, size_t p, Rest rest) const {
    const std::string_view s = text.s;
    while (rest.item == rest.end) {
      if (!rest.outer) return p;
      rest = *rest.outer;
    }
    const Item& item = *rest.item;
    const Rest next{rest.item + 1, rest.end, rest.outer};
    if (item.kind == Item::kNotAhead) {
      if (p < s.size() && (bits_at(s, p).bits >> item.cls & 1)) return kNoMatch;
      return match(text, p, next);
    }
    if (item.kind == Item::kGroup) {
      for (const Seq& alt : item.alts) {
        const size_t end = match(text, p, {alt.data(), alt.data() + alt.size(), &next});
        if (end != kNoMatch) return end;
      }
      return item.min == 0 ? match(text, p, next) : kNoMatch;
    }
    return match_class(text, p, item, next);
  }

  size_t match_class(Text& text, size_t p, const Item& item, const Rest& next) const {
    const std::string_view s = text.s;
    uint32_t n = 0;
    while (n < item.max && p < s.size()) {
      const CharBits c = bits_at(s, p);
      if (!(c.bits >> item.cls & 1)) break;
      p += c.len;
      ++n;
    }
    if (n < item.min) return kNoMatch;
    if (next.item == next.end && !next.outer) return p;
    for (;; --n) {
      const size_t end = match(text, p, next);
      if (++text.steps > kMaxSteps + 100 * s.size())
        fail(Code::kInvalidArgument, "tokenizer", "regular expression gave up on a text of {} bytes", s.size());
      if (end != kNoMatch || n == item.min || item.possessive) return end;
      p = previous_char(s, p);
    }
  }

  std::vector<Seq> alts_;
  std::vector<CharSet> classes_;
  std::vector<uint64_t> first_;
  std::array<uint64_t, kLow> low_{};
  std::array<uint64_t, kGcCount> gc_bits_{};
  uint64_t ranged_ = 0;  // classes whose ranges reach past the low table
};

}  // namespace

std::shared_ptr<const Regex> compile_pattern_matcher(std::string_view pattern) {
  if (valid_utf8_prefix(pattern) != pattern.size()) return nullptr;
  Parser parser(pattern);
  std::vector<Seq> alts;
  if (!parser.parse(alts)) return nullptr;
  for (const Seq& alt : alts)
    if (min_length(alt) == 0) return nullptr;
  return std::make_shared<PatternMatcher>(std::move(alts), std::move(parser.classes));
}

}  // namespace transom::text
