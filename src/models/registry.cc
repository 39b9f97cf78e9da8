// The registry: one line per architecture string.
#include "models/registry.h"

#include <array>

namespace transom {
namespace {

using nn::Task;

struct Row {
  std::string_view architecture;
  Family (*family)();
  // general.architecture of GGUF files of this family; behind a colon what tells it from others of that name: a key that is
  // there and not false, or a tensor, of any layer or of none.
  std::string_view gguf = {};
  Task task = Task::kNone;     // what head the network is given, where the family has several
};

constexpr std::array kRows = {
    Row{"AlbertForMaskedLM", albert_family, "", Task::kMaskedLm},
    Row{"AlbertForPreTraining", albert_family, "", Task::kMaskedLm},
    Row{"AlbertForQuestionAnswering", albert_family, "", Task::kQuestionAnswering},
    Row{"AlbertForSequenceClassification", albert_family, "", Task::kSequenceClassification},
    Row{"AlbertForTokenClassification", albert_family, "", Task::kTokenClassification},
    Row{"AlbertModel", albert_family},
    Row{"ArceeForCausalLM", arcee_family, "arcee"},
    Row{"BaiChuanForCausalLM", baichuan_family},
    Row{"BaichuanForCausalLM", baichuan_family, "baichuan"},
    Row{"BambaForCausalLM", bamba_family},
    Row{"BartForConditionalGeneration", bart_family},
    Row{"BertForMaskedLM", bert_family, "", Task::kMaskedLm},
    Row{"BertForPreTraining", bert_family, "", Task::kMaskedLm},
    Row{"BertForQuestionAnswering", bert_family, "", Task::kQuestionAnswering},
    Row{"BertForSequenceClassification", bert_family, "bert:cls.output.weight", Task::kSequenceClassification},
    Row{"BertForTokenClassification", bert_family, "", Task::kTokenClassification},
    Row{"BertModel", bert_family, "bert"},
    Row{"BloomForCausalLM", bloom_family, "bloom"},
    Row{"CamembertForMaskedLM", roberta_family, "", Task::kMaskedLm},
    Row{"CamembertForQuestionAnswering", roberta_family, "", Task::kQuestionAnswering},
    Row{"CamembertForSequenceClassification", roberta_family, "", Task::kSequenceClassification},
    Row{"CamembertForTokenClassification", roberta_family, "", Task::kTokenClassification},
    Row{"CamembertModel", roberta_family},
    Row{"ChatGLMForConditionalGeneration", chatglm_family},
    Row{"ChatGLMModel", chatglm_family, "chatglm:attn_qkv.weight"},
    Row{"Cohere2ForCausalLM", cohere2_family, "cohere2"},
    Row{"CohereForCausalLM", cohere_family, "command-r"},
    Row{"DebertaV2ForMaskedLM", deberta_v2_family, "", Task::kMaskedLm},
    Row{"DebertaV2ForQuestionAnswering", deberta_v2_family, "", Task::kQuestionAnswering},
    Row{"DebertaV2ForSequenceClassification", deberta_v2_family, "", Task::kSequenceClassification},
    Row{"DebertaV2ForTokenClassification", deberta_v2_family, "", Task::kTokenClassification},
    Row{"DebertaV2Model", deberta_v2_family},
    Row{"DeepseekV2ForCausalLM", deepseek_v2_family, "deepseek2"},
    Row{"DeepseekV32ForCausalLM", deepseek_v32_family, "deepseek32"},
    Row{"DeepseekV3ForCausalLM", deepseek_v3_family, "deepseek2:exp_probs_b.bias"},
    Row{"DistilBertForMaskedLM", distilbert_family, "", Task::kMaskedLm},
    Row{"DistilBertForQuestionAnswering", distilbert_family, "", Task::kQuestionAnswering},
    Row{"DistilBertForSequenceClassification", distilbert_family, "", Task::kSequenceClassification},
    Row{"DistilBertForTokenClassification", distilbert_family, "", Task::kTokenClassification},
    Row{"DistilBertModel", distilbert_family},
    Row{"Dots1ForCausalLM", dots1_family, "dots1"},
    Row{"ElectraForMaskedLM", electra_family, "", Task::kMaskedLm},
    Row{"ElectraForPreTraining", electra_family, "", Task::kReplacedTokenDetection},
    Row{"ElectraForQuestionAnswering", electra_family, "", Task::kQuestionAnswering},
    Row{"ElectraForSequenceClassification", electra_family, "", Task::kSequenceClassification},
    Row{"ElectraForTokenClassification", electra_family, "", Task::kTokenClassification},
    Row{"ElectraModel", electra_family},
    Row{"Ernie4_5ForCausalLM", ernie4_5_family, "ernie4_5"},
    Row{"Ernie4_5_MoeForCausalLM", ernie4_5_moe_family, "ernie4_5-moe"},
    Row{"Exaone4ForCausalLM", exaone4_family, "exaone4"},
    Row{"FalconForCausalLM", falcon_family, "falcon"},
    Row{"FalconH1ForCausalLM", falcon_h1_family, "falcon-h1"},
    Row{"FalconMambaForCausalLM", falcon_mamba_family, "mamba:ssm.dt_b_c_rms"},
    Row{"Gemma2ForCausalLM", gemma2_family, "gemma2"},
    Row{"Gemma3ForCausalLM", gemma3_family, "gemma3"},
    Row{"Gemma3nForCausalLM", gemma3n_family, "gemma3n"},
    Row{"Gemma3nForConditionalGeneration", gemma3n_family},
    Row{"Gemma4ForCausalLM", gemma4_family, "gemma4"},
    Row{"Gemma4ForConditionalGeneration", gemma4_family},
    Row{"GemmaForCausalLM", gemma_family, "gemma"},
    Row{"Glm4ForCausalLM", glm4_family, "glm4"},
    Row{"Glm4MoeForCausalLM", glm4_moe_family, "glm4moe"},
    Row{"Glm4MoeLiteForCausalLM", glm4_moe_lite_family},
    Row{"GlmForCausalLM", glm_family, "chatglm"},
    Row{"GPT2LMHeadModel", gpt2_family, "gpt2"},
    Row{"GPTJForCausalLM", gptj_family},
    Row{"GPTNeoXForCausalLM", gpt_neox_family, "gptneox"},
    Row{"GptOssForCausalLM", gpt_oss_family, "gpt-oss"},
    Row{"GraniteForCausalLM", granite_family, "granite"},
    Row{"GraniteMoeForCausalLM", granite_moe_family, "granitemoe"},
    Row{"GraniteMoeHybridForCausalLM", granite_moe_hybrid_family, "granitehybrid:residual_scale"},
    Row{"InternLM2ForCausalLM", internlm2_family, "internlm2"},
    Row{"InternLM3ForCausalLM", internlm3_family},
    Row{"InternLMForCausalLM", internlm_family},
    Row{"JambaForCausalLM", jamba_family, "jamba"},
    Row{"KimiK2ForCausalLM", deepseek_v3_family},
    Row{"Lfm2ForCausalLM", lfm2_family, "lfm2"},
    Row{"Lfm2MoeForCausalLM", lfm2_moe_family, "lfm2moe"},
    Row{"Llama4ForCausalLM", llama4_family, "llama4"},
    Row{"Llama4ForConditionalGeneration", llama4_family},
    Row{"LlamaForCausalLM", llama_family, "llama"},
    Row{"Mamba2ForCausalLM", mamba2_family, "mamba2"},
    Row{"MambaForCausalLM", mamba_family, "mamba"},
    Row{"M2M100ForConditionalGeneration", m2m100_family},
    Row{"MarianMTModel", marian_family},
    Row{"MBartForConditionalGeneration", mbart_family},
    Row{"MiMoForCausalLM", mimo_family},
    Row{"MiMoV2FlashForCausalLM", mimo_v2_family, "mimo2"},
    Row{"MiMoV2ForCausalLM", mimo_v2_family},
    Row{"MiMoV2MTP", mimo_v2_family},  // the same checkpoint, named by its prediction layers
    Row{"MiniMaxM2ForCausalLM", minimax_m2_family, "minimax-m2"},
    Row{"Ministral3ForCausalLM", ministral3_family, "mistral3"},
    Row{"MinistralForCausalLM", mistral_family},
    Row{"Mistral3ForConditionalGeneration", mistral3_family},
    Row{"MistralForCausalLM", mistral_family},
    Row{"MixtralForCausalLM", mixtral_family, "llama:expert_count"},
    Row{"ModernBertForMaskedLM", modernbert_family, "", Task::kMaskedLm},
    Row{"ModernBertForQuestionAnswering", modernbert_family, "", Task::kQuestionAnswering},
    Row{"ModernBertForSequenceClassification", modernbert_family, "modern-bert:cls.output.weight", Task::kSequenceClassification},
    Row{"ModernBertForTokenClassification", modernbert_family, "", Task::kTokenClassification},
    Row{"ModernBertModel", modernbert_family, "modern-bert"},
    Row{"MPTForCausalLM", mpt_family},  // as the first checkpoints spell it
    Row{"MPNetForMaskedLM", mpnet_family, "", Task::kMaskedLm},
    Row{"MPNetForQuestionAnswering", mpnet_family, "", Task::kQuestionAnswering},
    Row{"MPNetForSequenceClassification", mpnet_family, "", Task::kSequenceClassification},
    Row{"MPNetForTokenClassification", mpnet_family, "", Task::kTokenClassification},
    Row{"MPNetModel", mpnet_family},
    Row{"MptForCausalLM", mpt_family, "mpt"},
    Row{"NemotronForCausalLM", nemotron_family, "nemotron"},
    Row{"MT5ForConditionalGeneration", mt5_family},
    Row{"NomicBertForMaskedLM", nomic_bert_family, "", Task::kMaskedLm},
    Row{"NomicBertForSequenceClassification", nomic_bert_family, "", Task::kSequenceClassification},
    Row{"NomicBertForTokenClassification", nomic_bert_family, "", Task::kTokenClassification},
    Row{"NomicBertModel", nomic_bert_family, "nomic-bert"},
    Row{"Olmo2ForCausalLM", olmo2_family, "olmo2"},
    Row{"Olmo3ForCausalLM", olmo3_family, "olmo2:attention.sliding_window"},
    Row{"OlmoeForCausalLM", olmoe_family, "olmoe"},
    Row{"OlmoForCausalLM", olmo_family, "olmo"},
    Row{"OPTForCausalLM", opt_family},
    Row{"PegasusForConditionalGeneration", pegasus_family},
    Row{"Phi3ForCausalLM", phi3_family, "phi3"},
    Row{"PhiForCausalLM", phi_family, "phi2"},
    Row{"PhimoeForCausalLM", phimoe_family, "phimoe"},
    Row{"PhiMoEForCausalLM", phimoe_family},  // as the first checkpoints spell it
    Row{"Qwen2ForCausalLM", qwen2_family, "qwen2"},
    Row{"Qwen2MoeForCausalLM", qwen2_moe_family, "qwen2moe"},
    Row{"Qwen3_5ForCausalLM", qwen3_5_family, "qwen35"},
    Row{"Qwen3_5MoeForCausalLM", qwen3_5_moe_family, "qwen35moe"},
    Row{"Qwen3ForCausalLM", qwen3_family, "qwen3"},
    Row{"Qwen3MoeForCausalLM", qwen3_moe_family, "qwen3moe"},
    Row{"Qwen3NextForCausalLM", qwen3_next_family, "qwen3next"},
    Row{"QWenLMHeadModel", qwen_family, "qwen"},
    Row{"RobertaForMaskedLM", roberta_family, "", Task::kMaskedLm},
    Row{"RobertaForQuestionAnswering", roberta_family, "", Task::kQuestionAnswering},
    Row{"RobertaForSequenceClassification", roberta_family, "", Task::kSequenceClassification},
    Row{"RobertaForTokenClassification", roberta_family, "", Task::kTokenClassification},
    Row{"RobertaModel", roberta_family},
    Row{"RWForCausalLM", falcon_family},  // likewise
    Row{"RwkvForCausalLM", rwkv_family},
    Row{"SmolLM3ForCausalLM", smollm3_family, "smollm3"},
    Row{"StableLmForCausalLM", stablelm_family, "stablelm"},
    Row{"Starcoder2ForCausalLM", starcoder2_family, "starcoder2"},
    Row{"T5ForConditionalGeneration", t5_family, "t5"},
    Row{"WhisperForConditionalGeneration", whisper_family},
    Row{"XLMRobertaForMaskedLM", roberta_family, "", Task::kMaskedLm},
    Row{"XLMRobertaForQuestionAnswering", roberta_family, "", Task::kQuestionAnswering},
    Row{"XLMRobertaForSequenceClassification", roberta_family, "", Task::kSequenceClassification},
    Row{"XLMRobertaForTokenClassification", roberta_family, "", Task::kTokenClassification},
    Row{"XLMRobertaModel", roberta_family},
};

}  // namespace

std::optional<Family> find_family(std::string_view architecture) {
  for (const Row& r : kRows)
    if (r.architecture == architecture) {
      Family f = r.family();
      f.task = r.task;
      return f;
    }
  return std::nullopt;
}

std::string_view architecture_of_gguf(std::string_view gguf_architecture, const std::function<bool(std::string_view)>& has) {
  std::string_view found;
  for (const Row& r : kRows) {
    const size_t colon = r.gguf.find(':');
    if (r.gguf.empty() || r.gguf.substr(0, colon) != gguf_architecture) continue;
    if (colon == std::string_view::npos) found = r.architecture;
    else if (has(r.gguf.substr(colon + 1))) return r.architecture;
  }
  return found;
}

std::vector<RegistryLine> registry_lines() {
  std::vector<RegistryLine> all;
  for (const Row& r : kRows) {
    const nn::Task task = r.task != Task::kNone || r.family().head ? r.task : Task::kCausalLm;
    all.push_back({.name = r.architecture, .task = task, .gguf = r.gguf.substr(0, r.gguf.find(':'))});
  }
  return all;
}

}  // namespace transom
