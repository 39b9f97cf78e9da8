// The reference table: see kernels.h.
#include <cstring>

#include "kernels/ref/row.h"
#include "tensor/arena.h"

namespace transom {
namespace {

// An empty array may be null.
void copy(void* dst, const void* src, size_t bytes, Stream&) {
  if (bytes > 0) std::memcpy(dst, src, bytes);
}
void fill_zero(void* dst, size_t bytes, Stream&) {
  if (bytes > 0) std::memset(dst, 0, bytes);
}

constexpr Kernels kTable = {
    .name = "ref",
    .host_memory = true,
    .allocate = host_memory,
    .copy_to_device = copy,
    .copy_to_host = copy,
    .copy_on_device = copy,
    .fill_zero = fill_zero,
    .embedding = ref::embedding,
    .linear = ref::linear,
    .rms_norm = ref::rms_norm,
    .layer_norm = ref::layer_norm,
    .rope_table = ref::rope_table,
    .rope = ref::rope,
    .kv_write = ref::kv_write,
    .attention = ref::attention,
    .latent_attention = ref::latent_attention,
    .head_linear = ref::head_linear,
    .act_mul = ref::act_mul,
    .axpby = ref::axpby,
    .softcap = ref::softcap,
    .clamp = ref::clamp,
    .row_cutoff = ref::row_cutoff,
    .scale_columns = ref::scale_columns,
    .match_rms = ref::match_rms,
    .position_growth = ref::position_growth,
    .unfold_rows = ref::unfold_rows,
    .gather_rows = ref::gather_rows,
    .routing = ref::routing,
    .expert_linear = ref::expert_linear,
    .combine_rows = ref::combine_rows,
    .causal_conv = ref::causal_conv,
    .time_step = ref::time_step,
    .linear_recurrence = ref::linear_recurrence,
    .selective_scan = ref::selective_scan,
    .wkv = ref::wkv,
    .linear_grad_input = ref::linear_grad_input,
    .linear_grad_weight = ref::linear_grad_weight,
    .rms_norm_grad = ref::rms_norm_grad,
    .layer_norm_grad = ref::layer_norm_grad,
    .attention_grad = ref::attention_grad,
    .act_mul_grad = ref::act_mul_grad,
    .softcap_grad = ref::softcap_grad,
    .clamp_grad = ref::clamp_grad,
    .row_cutoff_grad = ref::row_cutoff_grad,
    .scale_columns_grad = ref::scale_columns_grad,
    .match_rms_grad = ref::match_rms_grad,
    .unfold_rows_grad = ref::unfold_rows_grad,
    .scatter_rows = ref::scatter_rows,
    .cross_entropy = ref::cross_entropy,
    .adamw = ref::adamw,
    .routing_grad = ref::routing_grad,
    .combine_rows_grad = ref::combine_rows_grad,
    .causal_conv_grad = ref::causal_conv_grad,
    .time_step_grad = ref::time_step_grad,
    .linear_recurrence_grad = ref::linear_recurrence_grad,
    .selective_scan_grad = ref::selective_scan_grad,
    .wkv_grad = ref::wkv_grad,
    .pack_bytes = nullptr,
    .pack = nullptr,
};

}  // namespace

const Kernels& ref_kernels() { return kTable; }

}  // namespace transom
