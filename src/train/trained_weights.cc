// own_weights: see trained_weights.h.
#include "train/trained_weights.h"

#include "tensor/quant.h"

namespace transom {

std::vector<TrainedWeight> own_weights(Model::Impl& model) {
  CHECK(!model.residency && model.kernels->host_memory);
  std::vector<TrainedWeight> out;
  std::vector<Param*> shared;
  for (Param& p : model.params.rows()) {
    if (p.tied && p.weight.view.data == p.tied->weight.view.data) shared.push_back(&p);
    else if (p.weight && !p.frozen) out.push_back({&p, model.kernels->allocate(sizeof(float) * p.rows * p.cols)});
  }
  for (const TrainedWeight& w : out) {
    Param& p = *w.param;
    for (int64_t r = 0; r < p.rows; ++r) decode_row(p.weight.view, r, 0, w.data() + r * p.cols, p.cols);
    p.weight.view = {w.memory.get(), DType::kF32, p.rows, p.cols, p.cols * static_cast<int64_t>(sizeof(float))};
    p.weight.owner = w.memory;
  }
  for (Param* p : shared) p->weight = p->tied->weight;
  return out;
}

}  // namespace transom
