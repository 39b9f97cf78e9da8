// What an Engine holds: the runner, open sequences of forward(), and the queues of generation: answers that are sampled, and
// searches (beams.cc), each of which runs the beginnings of its answers together.
#pragma once

#include <deque>
#include <unordered_map>

#include "engine/beam_search.h"
#include "engine/runner.h"
#include "engine/sampler.h"
#include "engine/stop.h"
#include "transom/engine.h"

namespace transom {

struct Engine::Impl {
  // One answer in the making.
  // What a sampler chose, or why it could not.
  struct Draw {
    Sampled chosen;  // its `top` is the vector below
    std::vector<TokenLogprob> top;
    bool armed = false;  // whether the token may end the answer
    std::string error;
  };
  struct Answer {
    uint64_t request = 0;
    int32_t index = 0;
    std::shared_ptr<const Request> asked;
    std::vector<int32_t> tokens;  // prompt (an encoder-decoder's: the decoder's) and answer
    size_t prompt = 0, fed = 0;   // tokens of the prompt; tokens that the state holds
    SequenceState state;
    const Adapter* adapter = nullptr;
    Sampler sampler;
    std::optional<Draw> drawn;  // this step's, until it is taken
    std::optional<Detokenizer> detokenizer;
    StopStrings stop;
    bool cancelled = false;
    // The other answers to the same prompt, until this one's first step is done: they go on from its state.
    std::vector<std::unique_ptr<Answer>> others;
  };
  struct Search {
    uint64_t request = 0;
    std::shared_ptr<const Request> asked;
    std::vector<int32_t> prompt;
    size_t fed = 0;
    const Adapter* adapter = nullptr;
    BeamSearch beams;
    std::vector<SequenceState> states;  // one until the prompt is fed, then one a beginning
    std::vector<int32_t> last;          // the beginnings' last tokens
    bool cancelled = false;
  };
  // Whose rows an item of a step are: of the two one.
  struct Owner {
    Answer* answer = nullptr;
    Search* search = nullptr;
  };
  using Report = std::function<void(const Output&)>;

  Impl(Model m, EngineOptions o, std::optional<Tokenizer> t);
  void check_fits(int64_t tokens, const char* what) const;
  bool step(const Report& report);
  void plan(std::vector<StepItem>& items, std::vector<Owner>& whose);
  void drop_cancelled(const Report& report);
  void take(const std::vector<StepItem>& items, const std::vector<Owner>& whose, std::span<const float> rows, const Report& report);
  // The first row of logits of an answer is that of the others to its prompt.
  void split(Answer& a, std::span<const float> row, const Report& report);
  // What is run for a request: its prompt's tokens are the decoder's.
  std::vector<int32_t> decoder_tokens(const Request& r) const;
  SourceInput source_of(const Request& r, size_t fed) const;
  // The next token of `a` from its row of logits; true when the answer has ended.
  void draw(Answer& a, std::span<const float> row, SamplerWorkspace& workspace);
  void draw_all(const std::vector<StepItem>& items, const std::vector<Owner>& whose, std::span<const float> rows);
  bool choose(Answer& a, std::span<const float> row, const Report& report);
  void end(Answer& a, Output out, const char* reason, const Report& report);
  void admit();
  bool give_way(const std::string& why, const Report& report);

  // Of searches (beams.cc).
  Search new_search(uint64_t id, std::shared_ptr<const Request> asked, const Adapter* adapter) const;
  void plan_search(Search& s, int64_t& budget, std::vector<StepItem>& items, std::vector<Owner>& whose);
  // The rows of all of a search's items; true when it has ended.
  bool advance(Search& s, std::span<const float> rows, const Report& report);
  void end(Search& s, const char* reason, const std::string& error, const Report& report);
  void report_answers(const Search& s, const Report& report) const;
  void release(Search& s);
  bool idle() const { return running.empty() && waiting.empty() && searches.empty(); }

  Model model;
  EngineOptions options;
  std::optional<Tokenizer> tokenizer;
  Runner runner;
  std::vector<SamplerWorkspace> workspaces;  // a thread's each
  uint64_t next_id = 1;
  struct Open {
    SequenceState state;
    const Adapter* adapter = nullptr;
  };
  std::unordered_map<SequenceId, Open> open;
  std::deque<std::unique_ptr<Answer>> waiting, running;
  std::deque<std::unique_ptr<Search>> searches;  // those before max_num_seqs beginnings run, the others wait
};

// A matrix's rows; none for null or an empty one.
ConstView view_of(const Matrix* m);

}  // namespace transom
