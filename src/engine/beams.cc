// Generation by beam search: the beginnings of a search are rows of the engine's steps like any other sequence. A beginning that goes
// on in several ways is forked; its state's whole pages, and those of its source, are shared.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "engine/engine_impl.h"

namespace transom {

Engine::Impl::Search Engine::Impl::new_search(uint64_t id, std::shared_ptr<const Request> asked, const Adapter* adapter) const {
  SamplingParams params = asked->sampling;
  std::vector<int32_t> prompt = decoder_tokens(*asked), ends = params.stop_token_ids;
  if (!params.ignore_eos) ends.insert(ends.end(), model.end_ids().begin(), model.end_ids().end());
  const int64_t room = options.max_model_len - static_cast<int64_t>(prompt.size());
  params.max_tokens = static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(params.max_tokens, room)));
  BeamSearch beams(params, prompt, std::move(ends), static_cast<int32_t>(model.vocab_size()));
  return {.request = id, .asked = std::move(asked), .prompt = std::move(prompt), .adapter = adapter, .beams = std::move(beams),
          .states = std::vector<SequenceState>(1), .last = {}};
}

void Engine::Impl::plan_search(Search& s, int64_t& budget, std::vector<StepItem>& items, std::vector<Owner>& whose) {
  if (s.fed < s.prompt.size()) {
    const int64_t left = static_cast<int64_t>(s.prompt.size() - s.fed), n = std::min(left, budget);
    budget -= n;
    items.push_back({.state = &s.states[0], .ids = std::span(s.prompt).subspan(s.fed, n),
                     .want = n == left ? StepItem::Want::kLast : StepItem::Want::kNothing, .adapter = s.adapter, .source = source_of(*s.asked, s.fed)});
    whose.push_back({.search = &s});
    return;
  }
  budget -= static_cast<int64_t>(s.states.size());
  for (size_t i = 0; i < s.states.size(); ++i) {
    items.push_back({.state = &s.states[i], .ids = std::span(s.last).subspan(i, 1), .adapter = s.adapter});
    whose.push_back({.search = &s});
  }
}

bool Engine::Impl::advance(Search& s, std::span<const float> rows, const Report& report) {
  std::vector<SequenceState> states;
  try {
    const std::vector<BeamSearch::Next> next = s.beams.advance(rows);
    if (!next.empty()) {
      // A beginning that goes on once keeps its state; otherwise the last one to go on takes it.
      states.resize(next.size());
      const auto parent = [&](size_t i) { return s.states.size() == 1 ? size_t{0} : static_cast<size_t>(next[i].parent); };
      for (size_t i = 0; i < next.size(); ++i) {
        bool again = false;
        for (size_t j = i + 1; j < next.size(); ++j) again = again || parent(j) == parent(i);
        states[i] = again ? runner.fork(s.states[parent(i)]) : std::exchange(s.states[parent(i)], {});
      }
      release(s);
      s.states = std::move(states);
      s.last.clear();
      for (const BeamSearch::Next& n : next) s.last.push_back(n.token);
      return false;
    }
  } catch (const Error& e) {
    for (SequenceState& state : states) runner.release(state);
    end(s, "error", e.what(), report);
    return true;
  }
  report_answers(s, report);
  release(s);
  return true;
}

void Engine::Impl::report_answers(const Search& s, const Report& report) const {
  const std::vector<BeamSearch::Answer> answers = s.beams.answers();
  for (size_t i = 0; i < answers.size(); ++i) {
    const BeamSearch::Answer& a = answers[i];
    std::optional<Detokenizer> detokenizer;
    if (tokenizer) detokenizer.emplace(*tokenizer);
    const std::vector<int32_t>& stops = s.asked->sampling.stop_token_ids;
    const std::vector<int32_t>& ends = model.end_ids();
    const bool ended = std::find(stops.begin(), stops.end(), a.tokens.back()) != stops.end() ||
                       (!s.asked->sampling.ignore_eos && std::find(ends.begin(), ends.end(), a.tokens.back()) != ends.end());
    for (size_t t = 0; t < a.tokens.size(); ++t) {
      Output out{.request = s.request, .index = static_cast<int32_t>(i), .token = a.tokens[t], .text = {}, .finish_reason = {}, .error = {}};
      const bool last = t + 1 == a.tokens.size();
      if (detokenizer && !(last && ended)) out.text = detokenizer->push(a.tokens[t]);
      if (last) {
        if (detokenizer) out.text += detokenizer->finish();
        out.finish_reason = ended ? "stop" : "length";
        out.score = a.score;
      }
      report(out);
    }
  }
}

void Engine::Impl::end(Search& s, const char* reason, const std::string& error, const Report& report) {
  release(s);
  for (int32_t i = 0; i < s.asked->sampling.n; ++i)
    report({.request = s.request, .index = i, .text = {}, .finish_reason = reason, .error = error});
}

void Engine::Impl::release(Search& s) {
  for (SequenceState& state : s.states) runner.release(state);
}

}  // namespace transom
