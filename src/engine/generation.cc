// Generation by continuous batching: every step feeds one token of each answer under way and, within the step's budget, the
// next chunk of new prompts. A fault in one answer (a NaN logit, no allowed token) ends that answer alone.
#include <algorithm>

#include "base/error.h"
#include "engine/engine_impl.h"

namespace transom {

uint64_t Engine::submit(Request request) {
  Impl& e = *impl_;
  const auto vocab = static_cast<int32_t>(e.model.vocab_size());
  if (!e.model.generates()) fail(Code::kUnsupported, "generate", "expected a model with a language-model head, got {}", e.model.architecture());
  request.sampling.validate(vocab);
  if (request.prompt.empty()) fail(Code::kInvalidArgument, "prompt", "expected at least one token, got none");
  for (const int32_t id : request.prompt)
    if (id < 0 || id >= vocab) fail(Code::kInvalidArgument, "prompt", "expected ids below {}, got {}", vocab, id);
  e.check_fits(static_cast<int64_t>(request.prompt.size()), "prompt");
  if (!request.sampling.stop.empty() && !e.tokenizer)
    fail(Code::kUnsupported, "stop", "expected a model with a tokenizer for stop strings, got none");
  const Adapter* adapter = e.model.impl().find_adapter(request.adapter);
  const uint64_t id = e.next_id++;
  for (int32_t i = 0; i < request.sampling.n; ++i) {
    std::optional<Detokenizer> detokenizer;
    if (e.tokenizer) detokenizer.emplace(*e.tokenizer);
    e.waiting.push_back(std::make_unique<Impl::Answer>(Impl::Answer{
        .request = id, .index = i, .tokens = request.prompt, .prompt = request.prompt.size(), .fed = 0, .state = {}, .adapter = adapter,
        .sampler = Sampler(request.sampling, vocab, request.prompt, e.model.end_ids(), static_cast<uint32_t>(i)),
        .detokenizer = std::move(detokenizer),
        .stop = StopStrings(request.sampling.stop, request.sampling.include_stop_str_in_output)}));
  }
  return id;
}

void Engine::cancel(uint64_t request) {
  for (auto* queue : {&impl_->waiting, &impl_->running})
    for (auto& a : *queue)
      if (a->request == request) a->cancelled = true;
}

bool Engine::step(const std::function<void(const Output&)>& report) { return impl_->step(report); }

void Engine::Impl::admit() {
  while (!waiting.empty() && static_cast<int64_t>(running.size()) < options.max_num_seqs) {
    running.push_back(std::move(waiting.front()));
    waiting.pop_front();
  }
}

void Engine::Impl::plan(std::vector<StepItem>& items, std::vector<Answer*>& whose) {
  int64_t budget = options.max_step_tokens;
  for (const bool decode : {true, false})
    for (auto& a : running) {
      const auto left = static_cast<int64_t>(a->tokens.size() - a->fed);
      if ((left == 1) != decode || budget <= 0) continue;
      const int64_t n = std::min(left, budget);
      budget -= n;
      items.push_back({.state = &a->state, .ids = std::span(a->tokens).subspan(a->fed, n),
                       .want = n == left ? StepItem::Want::kLast : StepItem::Want::kNothing, .adapter = a->adapter});
      whose.push_back(a.get());
    }
}

// Out of pages: the youngest answer goes back to the queue and is computed again later; the last one ends with an error.
bool Engine::Impl::give_way(const std::string& why, const Report& report) {
  Answer& a = *running.back();
  runner.release(a.state);
  a.fed = 0;
  if (running.size() == 1) {
    Output out{.request = a.request, .index = a.index, .error = why};
    end(a, std::move(out), "error", report);
    running.pop_back();
  } else {
    waiting.push_front(std::move(running.back()));
    running.pop_back();
  }
  return !running.empty() || !waiting.empty();
}

bool Engine::Impl::step(const Report& report) {
  for (auto* queue : {&running, &waiting})
    std::erase_if(*queue, [&](const std::unique_ptr<Answer>& a) {
      if (a->cancelled) end(*a, {.request = a->request, .index = a->index}, "cancelled", report);
      return a->cancelled;
    });
  admit();
  if (running.empty()) return false;
  std::vector<StepItem> items;
  std::vector<Answer*> whose;
  plan(items, whose);
  std::span<const float> rows;
  try {
    rows = runner.logits(items);
  } catch (const Error& e) {
    if (e.code() != Code::kResource) throw;
    return give_way(e.what(), report);
  }
  size_t row = 0;
  std::vector<Answer*> ended;
  const auto vocab = static_cast<size_t>(model.vocab_size());
  for (size_t i = 0; i < items.size(); ++i) {
    whose[i]->fed += items[i].ids.size();
    if (items[i].want == StepItem::Want::kNothing) continue;
    if (choose(*whose[i], rows.subspan(row++ * vocab, vocab), report)) ended.push_back(whose[i]);
  }
  std::erase_if(running, [&](const std::unique_ptr<Answer>& a) { return std::find(ended.begin(), ended.end(), a.get()) != ended.end(); });
  return !running.empty() || !waiting.empty();
}

bool Engine::Impl::choose(Answer& a, std::span<const float> row, const Report& report) {
  Output out{.request = a.request, .index = a.index};
  const SamplingParams& p = a.sampler.params();
  if (p.max_tokens == 0) return end(a, std::move(out), "length", report), true;
  Sampled s;
  const bool armed = a.sampler.generated() >= p.min_tokens;
  try {
    s = a.sampler.next(row, workspace);
  } catch (const Error& e) {
    out.error = e.what();
    return end(a, std::move(out), "error", report), true;
  }
  out.token = s.token;
  if (p.logprobs >= 0) {
    out.logprobs = TokenLogprobs{.token = s.token, .logprob = s.logprob, .top = {}};
    for (const TokenLogprob& t : s.top) out.logprobs->top.emplace_back(t.id, t.logprob);
  }
  a.tokens.push_back(s.token);
  if (armed && a.sampler.ends(s.token)) return end(a, std::move(out), "stop", report), true;
  if (a.detokenizer && a.stop.push(a.detokenizer->push(s.token), out.text, armed)) {
    a.detokenizer.reset();  // what it holds back lies behind the stop string
    return end(a, std::move(out), "stop", report), true;
  }
  if (a.sampler.generated() >= p.max_tokens || static_cast<int64_t>(a.tokens.size()) >= options.max_model_len)
    return end(a, std::move(out), "length", report), true;
  report(out);
  return false;
}

void Engine::Impl::end(Answer& a, Output out, const char* reason, const Report& report) {
  if (a.detokenizer) a.stop.push(a.detokenizer->finish(), out.text);
  a.stop.finish(out.text);
  out.finish_reason = reason;
  runner.release(a.state);
  report(out);
}

}  // namespace transom
