// Generation by continuous batching: every step feeds one token of each answer under way and, within the step's budget, the
// next chunk of new prompts. A fault in one answer (a NaN logit, no allowed token) ends that answer alone.
#include <algorithm>

#include "base/error.h"
#include "engine/engine_impl.h"

namespace transom {

namespace {

void check_request(const Model& model, const Request& r) {
  const auto vocab = static_cast<int32_t>(model.vocab_size());
  if (!model.generates()) fail(Code::kUnsupported, "generate", "expected a model with a language-model head, got {}", model.architecture());
  r.sampling.validate(vocab);
  const auto check = [vocab](const char* what, const std::vector<int32_t>& ids) {
    for (const int32_t id : ids)
      if (id < 0 || id >= vocab) fail(Code::kInvalidArgument, what, "expected ids below {}, got {}", vocab, id);
  };
  if (r.prompt.empty() && r.features.rows == 0) fail(Code::kInvalidArgument, "prompt", "expected at least one token, got none");
  if (!model.encoder_decoder()) {
    if (r.features.rows > 0 || !r.decoder_prompt.empty())
      fail(Code::kInvalidArgument, "prompt", "expected an encoder-decoder for a decoder's prompt or frames, got {}", model.architecture());
    check("prompt", r.prompt);
  }
  check("decoder prompt", r.decoder_prompt);
}

}  // namespace

std::vector<int32_t> Engine::Impl::decoder_tokens(const Request& r) const {
  if (!model.encoder_decoder()) return r.prompt;
  return r.decoder_prompt.empty() ? std::vector<int32_t>{model.decoder_start_id()} : r.decoder_prompt;
}

SourceInput Engine::Impl::source_of(const Request& r, size_t fed) const {
  if (fed > 0 || !model.encoder_decoder()) return {};
  return {.ids = r.features.rows > 0 ? std::span<const int32_t>{} : r.prompt, .features = view_of(&r.features)};
}

uint64_t Engine::submit(Request request) {
  Impl& e = *impl_;
  check_request(e.model, request);
  const auto vocab = static_cast<int32_t>(e.model.vocab_size());
  const std::vector<int32_t> tokens = e.decoder_tokens(request);
  e.check_fits(static_cast<int64_t>(tokens.size()), "prompt");
  if (!request.sampling.stop.empty() && !e.tokenizer)
    fail(Code::kUnsupported, "stop", "expected a model with a tokenizer for stop strings, got none");
  const Adapter* adapter = e.model.impl().find_adapter(request.adapter);
  const uint64_t id = e.next_id++;
  const auto asked = std::make_shared<const Request>(std::move(request));
  e.runner.check_source({.ids = tokens, .source = e.source_of(*asked, 0)}, 0);
  if (asked->sampling.beams.num_beams > 1) {
    e.searches.push_back(std::make_unique<Impl::Search>(e.new_search(id, asked, adapter)));
    return id;
  }
  Impl::Answer* first = nullptr;
  for (int32_t i = 0; i < asked->sampling.n; ++i) {
    std::optional<Detokenizer> detokenizer;
    if (e.tokenizer) detokenizer.emplace(*e.tokenizer);
    auto a = std::make_unique<Impl::Answer>(Impl::Answer{
        .request = id, .index = i, .asked = asked, .tokens = tokens, .prompt = tokens.size(), .fed = 0, .state = {}, .adapter = adapter,
        .sampler = Sampler(asked->sampling, vocab, tokens, e.model.end_ids(), static_cast<uint32_t>(i)),
        .detokenizer = std::move(detokenizer),
        .stop = StopStrings(asked->sampling.stop, asked->sampling.include_stop_str_in_output), .others = {}});
    if (first) {
      first->others.push_back(std::move(a));
      continue;
    }
    first = a.get();
    e.waiting.push_back(std::move(a));
  }
  return id;
}

void Engine::cancel(uint64_t request) {
  for (auto* queue : {&impl_->waiting, &impl_->running})
    for (auto& a : *queue)
      if (a->request == request) a->cancelled = true;
  for (auto& s : impl_->searches)
    if (s->request == request) s->cancelled = true;
}

bool Engine::step(const std::function<void(const Output&)>& report) { return impl_->step(report); }

void Engine::Impl::admit() {
  while (!waiting.empty() && static_cast<int64_t>(running.size()) < options.max_num_seqs) {
    running.push_back(std::move(waiting.front()));
    waiting.pop_front();
  }
}

void Engine::Impl::plan(std::vector<StepItem>& items, std::vector<Owner>& whose) {
  int64_t budget = options.max_step_tokens;
  for (const bool decode : {true, false})
    for (auto& a : running) {
      const auto left = static_cast<int64_t>(a->tokens.size() - a->fed);
      if ((left == 1) != decode || budget <= 0) continue;
      const int64_t n = std::min(left, budget);
      budget -= n;
      items.push_back({.state = &a->state, .ids = std::span(a->tokens).subspan(a->fed, n),
                       .want = n == left ? StepItem::Want::kLast : StepItem::Want::kNothing, .adapter = a->adapter,
                       .source = source_of(*a->asked, a->fed)});
      whose.push_back({.answer = a.get()});
    }
  auto places = options.max_num_seqs - static_cast<int64_t>(running.size());
  for (auto& s : searches) {
    if (budget <= 0 || (places <= 0 && !items.empty())) break;
    places -= s->asked->sampling.beams.num_beams;
    plan_search(*s, budget, items, whose);
  }
}

// Out of pages: the youngest answer goes back to the queue and is computed again later; the last one ends with an error.
bool Engine::Impl::give_way(const std::string& why, const Report& report) {
  if (!searches.empty()) {  // a search is not computed twice
    end(*searches.back(), "error", why, report);
    searches.pop_back();
    return !idle();
  }
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
  return !idle();
}

void Engine::Impl::drop_cancelled(const Report& report) {
  for (auto* queue : {&running, &waiting})
    std::erase_if(*queue, [&](const std::unique_ptr<Answer>& a) {
      if (!a->cancelled) return false;
      for (auto& other : a->others) end(*other, {.request = other->request, .index = other->index}, "cancelled", report);
      end(*a, {.request = a->request, .index = a->index}, "cancelled", report);
      return true;
    });
  std::erase_if(searches, [&](const std::unique_ptr<Search>& s) {
    if (s->cancelled) end(*s, "cancelled", "", report);
    return s->cancelled;
  });
}

bool Engine::Impl::step(const Report& report) {
  drop_cancelled(report);
  admit();
  if (idle()) return false;
  std::vector<StepItem> items;
  std::vector<Owner> whose;
  plan(items, whose);
  try {
    take(items, whose, runner.logits(items), report);
  } catch (const Error& e) {
    if (e.code() != Code::kResource) throw;
    return give_way(e.what(), report);
  }
  return !idle();
}

void Engine::Impl::take(const std::vector<StepItem>& items, const std::vector<Owner>& whose, std::span<const float> rows, const Report& report) {
  // A split or a search runs copies on the device, but no step: the rows stay.
  size_t row = 0;
  std::vector<const void*> ended;
  const auto vocab = static_cast<size_t>(model.vocab_size());
  draw_all(items, whose, rows);
  for (size_t i = 0; i < items.size();) {
    size_t count = 1;
    while (whose[i].search && i + count < items.size() && whose[i + count].search == whose[i].search) ++count;
    const bool wanted = items[i].want != StepItem::Want::kNothing;
    const std::span<const float> own = rows.subspan(row * vocab, wanted ? count * vocab : 0);
    if (wanted) row += count;
    if (Search* s = whose[i].search) {
      s->fed += items[i].ids.size();
      if (wanted && advance(*s, own, report)) ended.push_back(s);
    } else {
      Answer& a = *whose[i].answer;
      a.fed += items[i].ids.size();
      if (wanted) split(a, own, report);
      if (wanted && choose(a, own, report)) ended.push_back(&a);
    }
    i += count;
  }
  const auto over = [&](const auto& p) { return std::find(ended.begin(), ended.end(), p.get()) != ended.end(); };
  std::erase_if(running, over);
  std::erase_if(searches, over);
}

void Engine::Impl::split(Answer& a, std::span<const float> row, const Report& report) {
  for (std::unique_ptr<Answer>& other : a.others) {
    try {
      other->state = runner.fork(a.state);
    } catch (const Error& e) {
      Output out{.request = other->request, .index = other->index, .error = e.what()};
      end(*other, std::move(out), "error", report);
      continue;
    }
    other->fed = a.fed;
    if (choose(*other, row, report)) continue;
    (static_cast<int64_t>(running.size()) < options.max_num_seqs ? running : waiting).push_back(std::move(other));
  }
  a.others.clear();
}

void Engine::Impl::draw(Answer& a, std::span<const float> row, SamplerWorkspace& workspace) {
  Draw& d = a.drawn.emplace();
  d.armed = a.sampler.generated() >= a.sampler.params().min_tokens;
  try {
    d.chosen = a.sampler.next(row, workspace);
    d.top.assign(d.chosen.top.begin(), d.chosen.top.end());
    d.chosen.top = d.top;
  } catch (const Error& e) {
    d.error = e.what();
  }
}

// The answers that are one sequence choose at the same time, each from its row: a large vocabulary takes as long as a small layer.
void Engine::Impl::draw_all(const std::vector<StepItem>& items, const std::vector<Owner>& whose, std::span<const float> rows) {
  const auto vocab = static_cast<size_t>(model.vocab_size());
  std::vector<std::pair<Answer*, std::span<const float>>> all;
  for (size_t i = 0, row = 0; i < items.size(); ++i) {
    if (items[i].want == StepItem::Want::kNothing) continue;
    Answer* a = whose[i].answer;
    if (a && a->sampler.params().max_tokens != 0) all.emplace_back(a, rows.subspan(row * vocab, vocab));
    ++row;
  }
  ThreadTeam& team = *model.impl().team;
  workspaces.resize(static_cast<size_t>(team.size()));
  if (all.size() < 2) {
    for (auto& [a, row] : all) draw(*a, row, workspaces[0]);
    return;
  }
  std::atomic<size_t> next{0};
  team.run([&](int rank, int) {
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < all.size();) draw(*all[i].first, all[i].second, workspaces[rank]);
  });
}

bool Engine::Impl::choose(Answer& a, std::span<const float> row, const Report& report) {
  Output out{.request = a.request, .index = a.index};
  const SamplingParams& p = a.sampler.params();
  if (p.max_tokens == 0) return end(a, std::move(out), "length", report), true;
  if (!a.drawn) draw(a, row, workspaces[0]);
  const Draw d = std::move(*a.drawn);
  a.drawn.reset();
  if (!d.error.empty()) {
    out.error = d.error;
    return end(a, std::move(out), "error", report), true;
  }
  const Sampled& s = d.chosen;
  out.token = s.token;
  if (p.logprobs >= 0) {
    out.logprobs = TokenLogprobs{.token = s.token, .logprob = s.logprob, .top = {}};
    for (const TokenLogprob& t : d.top) out.logprobs->top.emplace_back(t.id, t.logprob);
  }
  a.tokens.push_back(s.token);
  if (d.armed && a.sampler.ends(s.token)) return end(a, std::move(out), "stop", report), true;
  if (a.detokenizer && a.stop.push(a.detokenizer->push(s.token), out.text, d.armed)) {
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
