// What an Engine holds: the runner, open sequences of forward(), and the queues of generation.
#pragma once

#include <deque>
#include <unordered_map>

#include "engine/runner.h"
#include "engine/sampler.h"
#include "engine/stop.h"
#include "transom/engine.h"

namespace transom {

struct Engine::Impl {
  // One answer in the making.
  struct Answer {
    uint64_t request = 0;
    int32_t index = 0;
    std::vector<int32_t> tokens;  // prompt and answer
    size_t prompt = 0, fed = 0;   // tokens of the prompt; tokens that the state holds
    SequenceState state;
    const Adapter* adapter = nullptr;
    Sampler sampler;
    std::optional<Detokenizer> detokenizer;
    StopStrings stop;
    bool cancelled = false;
  };
  using Report = std::function<void(const Output&)>;

  Impl(Model m, EngineOptions o, std::optional<Tokenizer> t);
  void check_fits(int64_t tokens, const char* what) const;
  bool step(const Report& report);
  void plan(std::vector<StepItem>& items, std::vector<Answer*>& whose);
  // The next token of `a` from its row of logits; true when the answer has ended.
  bool choose(Answer& a, std::span<const float> row, const Report& report);
  void end(Answer& a, Output out, const char* reason, const Report& report);
  void admit();
  bool give_way(const std::string& why, const Report& report);

  Model model;
  EngineOptions options;
  std::optional<Tokenizer> tokenizer;
  Runner runner;
  SamplerWorkspace workspace;
  uint64_t next_id = 1;
  struct Open {
    SequenceState state;
    const Adapter* adapter = nullptr;
  };
  std::unordered_map<SequenceId, Open> open;
  std::deque<std::unique_ptr<Answer>> waiting, running;
};

}  // namespace transom
