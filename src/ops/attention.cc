// rope and attention: positions, state, masks.
#include "ops/require.h"

namespace transom::ops {
namespace {

void record_attention(Ctx& cx, const AttentionArgs& args, const Tensor& q, const Tensor& k, const Tensor& v,
                      const Tensor& out) {
  cx.tape->record([args, q, k, v, out](Ctx& cx) {
    if (!cx.tape->has_grad(out)) return;
    require(cx, cx.kernels.attention_grad, "attention_grad")({.forward = args,
                                                              .dout = cx.tape->grad(cx, out),
                                                              .dq_acc = cx.tape->grad(cx, q),
                                                              .dk_acc = cx.tape->grad(cx, k),
                                                              .dv_acc = cx.tape->grad(cx, v)},
                                                             cx.stream);
  });
}

}  // namespace

RopeTables rope_tables(Ctx& cx, std::span<const float> inv_freq, float scale) {
  const auto half = static_cast<int64_t>(inv_freq.size());
  auto* device = reinterpret_cast<float*>(cx.arena.allocate(sizeof(float) * half));
  cx.kernels.copy_to_device(device, inv_freq.data(), sizeof(float) * half, cx.stream);
  RopeTables r{.key = nullptr,
               .cos = cx.arena.tensor(DType::kF32, cx.batch.rows, half),
               .sin = cx.arena.tensor(DType::kF32, cx.batch.rows, half)};
  cx.kernels.rope_table({.positions = cx.batch.positions, .inv_freq = device, .scale = scale, .cos = r.cos.view, .sin = r.sin.view},
                        cx.stream);
  return r;
}

void rope(Ctx& cx, Tensor& x, const RopeTables& t, int64_t heads, bool interleaved) {
  CHECK(x.cols() % heads == 0 && 2 * t.cos.cols() <= x.cols() / heads && t.cos.rows() == x.rows());
  cx.kernels.rope({.x = x.view, .cos = t.cos.view, .sin = t.sin.view, .heads = heads, .interleaved = interleaved}, cx.stream);
  if (cx.tape)
    cx.tape->record([x, t, heads, interleaved](Ctx& cx) {
      if (!cx.tape->has_grad(x)) return;
      cx.kernels.rope({.x = cx.tape->grad(cx, x), .cos = t.cos.view, .sin = t.sin.view, .heads = heads,
                       .interleaved = interleaved, .inverse = true}, cx.stream);
    });
}

Tensor attention(Ctx& cx, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionParam& p) {
  CHECK(p.heads % p.kv_heads == 0 && q.cols() % p.heads == 0 && k.cols() == q.cols() / p.heads * p.kv_heads);
  Tensor out = cx.arena.tensor(cx.dtype, q.rows(), v.cols() / p.kv_heads * p.heads);
  AttentionArgs a{.q = q.view, .k = k.view, .v = v.view, .out = out.view, .seqs = cx.batch.packed, .heads = p.heads,
                  .kv_heads = p.kv_heads, .scale = p.scale, .mask = p.mask, .mod = {.softcap = p.softcap}};
  if (p.sinks) a.mod.sinks = reinterpret_cast<const float*>(p.sinks->weight.view.data);
  if (p.state >= 0 && !cx.states.empty()) {
    const KvState& s = cx.states[p.state];
    cx.kernels.kv_write({.k = k.view, .v = v.view, .slots = cx.batch.slots[s.group], .k_cache = s.k, .v_cache = s.v}, cx.stream);
    a.k = s.k;
    a.v = s.v;
    a.seqs = cx.batch.paged[s.group];
  }
  if (cx.tape) {
    CHECK(!a.seqs.pages);  // gradients are over whole packed sequences
    a.lse = reinterpret_cast<float*>(cx.arena.allocate(sizeof(float) * q.rows() * p.heads));
    cx.tape->track(out);
  }
  cx.kernels.attention(a, cx.stream);
  if (cx.tape) record_attention(cx, a, q, k, v, out);
  return out;
}

}  // namespace transom::ops
