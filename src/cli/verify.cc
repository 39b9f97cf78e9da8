// transom verify: the model here against Python transformers in a process of its own, step by step: token ids, the hidden
// states after every layer, logits, greedy tokens. Of the first layer that differs, the first matrix whose product differs is
// named, in a second run. Differences are given in standard deviations of what transformers computes.
// The comparison runs on the reference kernels unless --kernels names others; then a row says how far the fast ones are.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>

#include "cli/model_command.h"
#include "cli/python.h"
#include "transom/error.h"
#include "transom/tokenizer.h"

namespace transom::cli {
namespace {

struct VerifyFlags {
  std::string python;
  bool make_env = false;
  std::vector<std::string> texts;
  int steps = 16;
  double tolerance = 1e-3;
};

constexpr double kTie = 1e-3;      // logits closer than this: either token is right
constexpr double kFastKl = 2e-3;   // divergence that the fast kernels may have in most rows
constexpr int64_t kUncut = int64_t{1} << 40;  // the file's own truncation is off on both sides
constexpr size_t kLongest = 32;    // tokens of a sequence that is compared
const std::vector<std::string> kTexts = {
    "The capital of France is",
    "def add(a, b):\n    return a + b  # two numbers\n",
    "Na\u00efve caf\u00e9 \u2014 \u6771\u4eac\u306f\u65e5\u672c\u306e\u9996\u90fd\u3067\u3059\u3002 "
    "\U0001F30A  two  spaces, 3.14159 & <b>tags</b>!",
    " ",
    "The tide comes in, and the tide goes out again."};

// A text to compare: of an encoder-decoder, what its encoder reads, and the decoder's tokens.
struct Sequence {
  std::vector<int32_t> ids, source;
  Matrix features;
  Engine::Feed feed() const { return {.ids = ids, .rows = Engine::Rows::kAll, .source = source, .features = features.rows ? &features : nullptr}; }
  Json json() const {
    Json j{{"ids", ids}};
    if (!source.empty()) j["source"] = source;
    if (features.rows) j["frames"] = {features.rows, features.cols};
    return j;
  }
};

// Frames of sound, as verify_reference.py makes them too.
Matrix made_up_frames(int64_t rows, int64_t cols) {
  Matrix m{.rows = rows, .cols = cols, .values = {}};
  for (int64_t i = 0; i < rows * cols; ++i) m.values.push_back(static_cast<float>(std::sin(0.37 * static_cast<double>(i))));
  return m;
}

struct Row {
  std::string what, compared;
  std::optional<double> difference;
  bool equal = true;
  std::string note;
};

std::vector<float> decode_base64(const std::string& text) {
  std::string bytes;
  uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    const int v = c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52
                  : c == '+' ? 62 : c == '/' ? 63 : -1;
    if (v < 0) break;
    bits = bits << 6 | static_cast<uint32_t>(v);
    have += 6;
    if (have < 8) continue;
    have -= 8;
    bytes.push_back(static_cast<char>(bits >> have & 255));
  }
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
  return out;
}

// Largest distance over the standard deviation of `expected`; infinite when the sizes differ or a value is not finite.
double distance(const std::vector<float>& got, const std::vector<float>& expected) {
  if (got.size() != expected.size() || got.empty()) return INFINITY;
  double sum = 0, squares = 0, largest = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    sum += expected[i];
    squares += double{expected[i]} * expected[i];
    const double d = std::fabs(double{got[i]} - expected[i]);
    if (!(d <= largest)) largest = std::isfinite(d) ? d : INFINITY;
  }
  const double n = static_cast<double>(got.size()), mean = sum / n;
  return largest / std::max(std::sqrt(std::max(squares / n - mean * mean, 0.0)), 1e-30);
}

// KL(p || q) of the softmax of each row of two matrices of logits, in order of size.
std::vector<double> divergences(const Matrix& p, const Matrix& q) {
  std::vector<double> all;
  for (int64_t r = 0; r < p.rows; ++r) {
    const float *a = p.values.data() + r * p.cols, *b = q.values.data() + r * q.cols;
    const double top_a = *std::max_element(a, a + p.cols), top_b = *std::max_element(b, b + p.cols);
    double za = 0, zb = 0, cross = 0;
    for (int64_t i = 0; i < p.cols; ++i) {
      const double e = std::exp(a[i] - top_a);
      za += e;
      zb += std::exp(b[i] - top_b);
      cross += e * ((a[i] - top_a) - (b[i] - top_b));
    }
    all.push_back(cross / za - std::log(za) + std::log(zb));
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::optional<Tokenizer> own_tokenizer(const std::string& path) {
  try {
    return Tokenizer::load(path);
  } catch (const Error& e) {
    if (e.code() != Code::kNotFound) throw;
    return std::nullopt;
  }
}

class Verification {
 public:
  Verification(const CommonOptions& common, const VerifyFlags& flags) : common_(common), flags_(flags), engine_(load(common)) {}

  int run() {
    tokenizer_ = own_tokenizer(engine_.model().path());
    choose_sequences();
    const bool gguf = engine_.model().path().ends_with(".gguf");
    const std::string python = flags_.make_env ? make_python() : find_python(flags_.python, gguf);
    std::fprintf(stderr, "transom: running transformers in %s\n", python.c_str());
    answer_ = ask_python(python, request());
    compare_texts();
    for (size_t i = 0; i < sequences_.size(); ++i) compare_hidden(sequences_[i], answer_.at("sequences").at(i));
    find_matrix(python);
    if (engine_.model().head().outputs > 0)
      for (size_t i = 0; i < sequences_.size(); ++i) compare_logits(sequences_[i], answer_.at("sequences").at(i));
    if (engine_.model().generates()) {
      compare_greedy();
      compare_fast();
    }
    const bool equal = std::all_of(rows_.begin(), rows_.end(), [](const Row& r) { return r.equal; });
    common_.json ? print_report(python, equal) : print_table(equal);
    return equal ? kDone : kFailed;
  }

 private:
  static Model load(const CommonOptions& common) {
    ModelOptions o = model_options(common);
    if (o.kernels == "auto") o.kernels = "ref";
    return Model::load(resolve_model(common, common.model), o);
  }

  const std::vector<std::string>& texts() const { return flags_.texts.empty() ? kTexts : flags_.texts; }

  // Two texts as ids; without a tokenizer here ids spread over the vocabulary but its last part, of which not every table has rows
  // (Gemma 3n's images and sounds).
  void choose_sequences() {
    std::vector<std::vector<int32_t>> all;
    if (tokenizer_) {
      for (const size_t i : {size_t{0}, size_t{1}})
        if (i < texts().size()) all.push_back(tokenizer_->encode(texts()[i]));
    } else {
      all.resize(1);
      const int64_t words = std::max<int64_t>(engine_.model().vocab_size() * 15 / 16, 1);
      for (int64_t i = 0; i < 16; ++i) all[0].push_back(static_cast<int32_t>((i * 7919 + 11) % words));
    }
    std::erase_if(all, [](const auto& s) { return s.empty(); });
    const Model& m = engine_.model();
    for (auto& ids : all) {
      ids.resize(std::min(ids.size(), kLongest));
      Sequence s{.ids = ids, .source = {}, .features = {}};
      if (m.encoder_decoder()) {  // a decoder that says what its encoder reads
        s.ids.insert(s.ids.begin(), m.decoder_start_id());
        if (m.source_features() > 0) s.features = made_up_frames(m.source_positions(), m.source_features());
        else s.source = std::move(ids);
      }
      sequences_.push_back(std::move(s));
    }
    if (sequences_.empty()) throw UsageError("--text: expected a text with at least one token");
  }

  Json request() const {
    Json sequences = Json::array();
    for (const Sequence& s : sequences_) sequences.push_back(s.json());
    Json r{{"protocol", 1}, {"model", engine_.model().path()}, {"sequences", sequences}, {"hidden", "full"}, {"dtype", "float32"},
           {"threads", common_.threads}, {"trust_remote_code", common_.trust_remote_code}};
    if (tokenizer_) r["texts"] = texts();
    r["logits"] = engine_.model().head().outputs > 0 ? "all" : "none";
    if (!engine_.model().generates()) return r;
    r["greedy"] = sequences_[0].json();
    r["greedy"]["steps"] = flags_.steps;
    if (engine_.model().encoder_decoder()) r["greedy"]["ids"] = {engine_.model().decoder_start_id()};
    return r;
  }

  void compare_texts() {
    if (!tokenizer_) {
      rows_.push_back({.what = "tokenizer", .compared = "-", .note = "no tokenizer here: ids were made up"});
      return;
    }
    if (answer_.contains("tokenizer_error")) {
      rows_.push_back({.what = "tokenizer", .compared = "-", .note = "transformers loads none: " + answer_["tokenizer_error"].get<std::string>()});
      return;
    }
    size_t tokens = 0;
    Row ids{.what = "token ids"}, decoded{.what = "decoded text"};
    for (size_t i = 0; i < texts().size(); ++i) {
      const Json& theirs = answer_.at("texts").at(i);
      const auto expected = theirs.at("ids").get<std::vector<int32_t>>();
      tokens += expected.size();
      if (tokenizer_->encode(texts()[i], true, kUncut) != expected) {
        ids.equal = false;
        ids.note = fmt::format("first in text {}", i);
      }
      if (tokenizer_->decode(expected) != theirs.at("decoded").get<std::string>()) {
        decoded.equal = false;
        decoded.note = fmt::format("first in text {}", i);
      }
    }
    ids.compared = decoded.compared = fmt::format("{} tokens", tokens);
    rows_.push_back(std::move(ids));
    rows_.push_back(std::move(decoded));
  }

  // A row per tap over all sequences. An encoder's come first, up to its output, "encoder".
  void compare_hidden(const Sequence& s, const Json& theirs) {
    std::vector<NamedMatrix> ours = engine_.hidden_states(s.feed());
    const auto end = std::find_if(ours.begin(), ours.end(), [](const NamedMatrix& m) { return m.name == "encoder"; });
    if (end == ours.end()) return compare_side(std::move(ours), theirs.at("hidden"));
    std::vector<NamedMatrix> encoder(std::make_move_iterator(ours.begin()), std::make_move_iterator(end));
    for (NamedMatrix& m : encoder)
      if (!m.name.starts_with("encoder.")) m.name = "encoder." + m.name;
    ours.erase(ours.begin(), end + 1);
    compare_side(std::move(encoder), theirs.at("encoder_hidden"));
    compare_side(std::move(ours), theirs.at("hidden"));
  }

  // transformers gives the embeddings and then every layer's output, the last after the norm.
  void compare_side(std::vector<NamedMatrix> ours, const Json& hidden) {
    if (ours.size() == hidden.size() + 1) ours.erase(ours.end() - 2);  // the last layer before the norm
    if (ours.size() != hidden.size())
      throw Error(Code::kInternal, fmt::format("expected {} hidden states, got {} here", hidden.size(), ours.size()), "verify");
    for (size_t i = 0; i < ours.size(); ++i)
      measure(ours[i].name, ours[i].matrix.values, hidden[i], fmt::format("{} values", ours[i].matrix.values.size()));
  }

  // The matrices of the first layer that differs, in the order in which they are used; transformers' outputs of the modules that have
  // them. Those that share a tensor with others are left out.
  void find_matrix(const std::string& python) {
    const auto layer = std::find_if(rows_.begin(), rows_.end(), [](const Row& r) { return r.difference && !r.equal; });
    if (layer == rows_.end()) return;
    first_ = layer->what;
    std::vector<NamedMatrix> part = products_of(layer->what);
    const Json tensors = engine_.model().describe()["tensors"];
    Json names = Json::object();
    std::map<std::string, int> uses;
    for (const Json& t : tensors) ++uses[t["stored_as"].get<std::string>()];
    for (const Json& t : tensors)
      for (const NamedMatrix& m : part)
        if (t["name"] == m.name && uses[t["stored_as"].get<std::string>()] == 1) names[m.name] = t["stored_as"];
    if (names.empty()) return;
    Json r = request();
    r.erase("texts");
    r.erase("greedy");
    r["hidden"] = r["logits"] = "none";
    r["sequences"] = {sequences_[0].json()};
    r["modules"] = names;
    const Json theirs = ask_python(python, r).at("sequences").at(0).at("modules");
    for (const NamedMatrix& m : part) {
      if (!theirs.contains(m.name)) continue;
      const double d = distance(m.matrix.values, decode_base64(theirs[m.name].at("f32").get<std::string>()));
      if (d <= flags_.tolerance) continue;
      first_ += fmt::format(", tensor {} (its product differs by {:.1e})", names[m.name].get<std::string>(), d);
      return;
    }
    first_ += ", behind its last matrix, whose product is equal";
  }

  // What the layer's matrices give, the parts of the taps before it left out.
  std::vector<NamedMatrix> products_of(const std::string& layer) {
    std::vector<NamedMatrix> part;
    bool encoder = layer.starts_with("encoder.");
    for (NamedMatrix& m : engine_.hidden_states(sequences_[0].feed(), true)) {
      if (m.name.ends_with(".weight")) part.push_back(std::move(m));
      else if (m.name == layer || (encoder && "encoder." + m.name == layer)) return part;
      else part.clear();
    }
    return {};
  }

  void compare_logits(const Sequence& s, const Json& theirs) {
    const Matrix logits = engine_.logits(s.feed(), 0);
    measure("logits", logits.values, theirs.at("logits"), fmt::format("{} x {}", logits.rows, logits.cols));
  }

  // One row for each name: the largest difference of all sequences.
  void measure(const std::string& name, const std::vector<float>& got, const Json& array, const std::string& compared) {
    const double d = distance(got, decode_base64(array.at("f32").get<std::string>()));
    auto it = std::find_if(rows_.begin(), rows_.end(), [&](const Row& r) { return r.what == name; });
    if (it == rows_.end()) it = rows_.insert(rows_.end(), {.what = name, .compared = compared, .difference = 0.0});
    it->difference = std::max(*it->difference, d);
    it->equal = *it->difference <= flags_.tolerance;
  }

  void compare_greedy() {
    Request r{.prompt = engine_.model().encoder_decoder() ? sequences_[0].source : sequences_[0].ids, .sampling = {}};
    r.features = sequences_[0].features;
    r.sampling.temperature = 0;
    r.sampling.max_tokens = flags_.steps;
    r.sampling.ignore_eos = true;
    std::vector<int32_t> ours;
    std::string refused;  // a token that the model itself cannot read
    try {
      engine_.submit(std::move(r));
      while (engine_.step([&](const Output& o) {
        if (o.token) ours.push_back(*o.token);
      })) {
      }
    } catch (const Error& e) {
      refused = e.what();
    }
    const auto theirs = answer_.at("greedy").at("tokens").get<std::vector<int32_t>>();
    const auto gaps = answer_.at("greedy").at("gaps").get<std::vector<double>>();
    Row row{.what = "greedy tokens", .compared = fmt::format("{} tokens", theirs.size())};
    const size_t n = std::min(ours.size(), theirs.size());
    const auto at = static_cast<size_t>(std::mismatch(ours.begin(), ours.begin() + static_cast<int64_t>(n), theirs.begin()).first - ours.begin());
    if (at < theirs.size() && !refused.empty()) {
      row.equal = false;
      row.note = fmt::format("after {} equal ones: {}", at, refused);
    } else if (at < theirs.size()) {
      const double gap = at < gaps.size() ? gaps[at] : INFINITY;
      row.equal = at < n && gap < kTie;
      row.note = fmt::format("token {} differs; transformers' best two logits are {:.1e} apart there{}", at, gap, row.equal ? ": a tie" : "");
    }
    rows_.push_back(std::move(row));
  }

  // What a run without --kernels uses, beside the kernels that were compared above. Of so few rows the median is judged: where experts
  // are chosen, rounding alone may turn a near tie, and then that row is another.
  void compare_fast() {
    if (common_.kernels != "auto") return;
    ModelOptions o = model_options(common_);
    Engine fast(Model::load(engine_.model().path(), o));
    const std::string name = fast.model().describe()["placement"]["kernels"];
    const std::vector<double> kl = divergences(engine_.logits(sequences_[0].feed(), 0), fast.logits(sequences_[0].feed(), 0));
    const double median = kl[kl.size() / 2];
    rows_.push_back({.what = "fast kernels", .compared = name, .difference = median, .equal = median <= kFastKl,
                     .note = fmt::format("median KL divergence from ref; largest {:.1e}", kl.back())});
  }

  static std::string shown(const Json& v) { return v.is_null() ? "-" : v.is_string() ? v.get<std::string>() : v.dump(); }

  void print_table(bool equal) const {
    std::string s = fmt::format("{}: {} here, {} in transformers {}\n\n{:<16} {:<20} {:<10} {}\n", engine_.model().path(),
                                engine_.model().architecture(), answer_.value("class", ""), answer_.at("versions").value("transformers", ""),
                                "what", "compared", "largest", "result");
    for (const Row& r : rows_)
      s += fmt::format("{:<16} {:<20} {:<10} {}{}\n", r.what, r.compared, r.difference ? fmt::format("{:.1e}", *r.difference) : "",
                       r.equal ? (r.difference || r.compared != "-" ? "equal" : "not compared") : "DIFFERENT", r.note.empty() ? "" : " (" + r.note + ")");
    for (const Json& note : answer_.value("notes", Json::array())) s += "note: " + note.get<std::string>() + "\n";
    s += "\ndecisions" + std::string(8, ' ') + "transom" + std::string(34, ' ') + "transformers\n";
    const Json ours = engine_.model().describe()["decisions"], theirs = answer_.value("decisions", Json::object());
    for (const auto& [key, value] : ours.items()) s += fmt::format("{:<16} {:<40} {}\n", key, shown(value), shown(theirs.value(key, Json())));
    if (!first_.empty()) s += "\nfirst difference: " + first_ + "\n";
    s += fmt::format("\n{}: differences in standard deviations, tolerance {:.0e}\n", equal ? "equal" : "DIFFERENT", flags_.tolerance);
    print(s);
  }

  void print_report(const std::string& python, bool equal) const {
    Json rows = Json::array();
    for (const Row& r : rows_) {
      Json j{{"what", r.what}, {"compared", r.compared}, {"difference", nullptr}, {"equal", r.equal}};
      if (r.difference && std::isfinite(*r.difference)) j["difference"] = *r.difference;
      if (!r.note.empty()) j["note"] = r.note;
      rows.push_back(std::move(j));
    }
    const Json ours = engine_.model().describe();
    print_json({{"equal", equal}, {"model", engine_.model().path()}, {"arch", engine_.model().architecture()},
                {"class", answer_.value("class", "")}, {"python", python}, {"versions", answer_.at("versions")},
                {"tolerance", flags_.tolerance}, {"rows", rows},
                {"first_difference", first_.empty() ? Json() : Json(first_)},
                {"decisions", {{"transom", ours.at("decisions")}, {"transformers", answer_.value("decisions", Json::object())}}},
                {"notes", answer_.value("notes", Json::array())}, {"seconds", answer_.value("seconds", Json::object())}});
  }

  const CommonOptions& common_;
  const VerifyFlags& flags_;
  Engine engine_;
  std::optional<Tokenizer> tokenizer_;
  std::vector<Sequence> sequences_;
  std::string first_;  // the first difference, "" when there is none
  Json answer_;
  std::vector<Row> rows_;
};

int run(const CommonOptions& common, const VerifyFlags& flags) {
  try {
    return Verification(common, flags).run();
  } catch (const Json::exception& e) {
    throw Error(Code::kInternal, std::string("expected an answer of the protocol, got ") + e.what(), "verify_reference.py");
  }
}

}  // namespace

void add_verify_command(CLI::App& app, CommonOptions& common) {
  auto f = std::make_shared<VerifyFlags>();
  CLI::App& c = add_command(app, common, "verify", "Compare with Python transformers, in a separate process", [&common, f] { return run(common, *f); });
  add_model_argument(c, common);
  add_model_flags(c, common);
  add_json_flag(c, common);
  c.add_option("--python", f->python, "A Python that has torch and transformers (default: the active environment's)")->type_name("FILE");
  c.add_flag("--make-env", f->make_env, "Make such a Python in the user's cache, by package names (about 3 GB)");
  c.add_option("-t,--text", f->texts, "Texts to compare with, instead of the built-in ones")->type_name("TEXT");
  c.add_option("--steps", f->steps, "Greedy tokens to compare")->check(CLI::PositiveNumber);
  c.add_option("--tolerance", f->tolerance, "Largest difference that counts as equal, in standard deviations")->check(CLI::PositiveNumber);
}

}  // namespace transom::cli
