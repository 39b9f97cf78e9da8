// Sentencepiece's own models behind the pipeline's Model.
#include "text/merge_by_score.h"
#include "text/model.h"
#include "text/sentencepiece_unigram.h"

namespace transom::text {
namespace {

template <class M>
class Adapter : public Model {
 public:
  Adapter(TokenizerModel spec, std::string_view context) : model_(std::move(spec), context) {}
  void encode(std::string_view piece, ModelScratch&, std::vector<int32_t>& out) const override { model_.encode(piece, out); }

 private:
  M model_;
};

}  // namespace

std::unique_ptr<Model> make_merge_by_score(TokenizerModel spec, std::string_view context) {
  return std::make_unique<Adapter<MergeByScore>>(std::move(spec), context);
}
std::unique_ptr<Model> make_sentencepiece_unigram(TokenizerModel spec, std::string_view context) {
  return std::make_unique<Adapter<SentencePieceUnigram>>(std::move(spec), context);
}

}  // namespace transom::text
