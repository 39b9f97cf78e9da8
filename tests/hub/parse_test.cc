// What is parsed: hub ids, the environment, a server's answers (also broken ones), the choice of files, bytes in any order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/file.h"
#include "base/json.h"
#include "hub/api.h"
#include "hub/blob_writer.h"
#include "hub/select.h"
#include "hub/settings.h"
#include "support/sha256.h"
#include "support/temp_dir.h"

namespace transom::hub {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Names = std::vector<std::string>;

// An environment that has these variables and none of the hub's others.
class Environment {
 public:
  using Values = std::map<std::string, std::string>;
  explicit Environment(Values values) {
    for (const char* name : {"HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH",
                             "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_ETAG_TIMEOUT",
                             "HF_HUB_DOWNLOAD_TIMEOUT", "HOME"}) {
      const char* old = std::getenv(name);
      old_[name] = old ? std::optional<std::string>(old) : std::nullopt;
      if (values.count(name)) ::setenv(name, values[name].c_str(), 1);
      else ::unsetenv(name);
    }
  }
  Environment(const Environment&) = delete;
  ~Environment() {
    for (const auto& [name, value] : old_) value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
  }

 private:
  std::map<std::string, std::optional<std::string>> old_;
};

TEST(HubId, ShapesAreToldApart) {
  const auto id = parse_hub_id("org/name-1.5@refs/pr/1");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->repo, "org/name-1.5");
  EXPECT_EQ(id->revision, "refs/pr/1");
  EXPECT_EQ(parse_hub_id("org/name:Q4_K_M")->variant, "Q4_K_M");
  EXPECT_EQ(parse_hub_id("org/name")->revision, "main");
  EXPECT_EQ(parse_hub_id("o/n@v1:IQ2_XS")->variant, "IQ2_XS");
  for (const char* text : {"", "name", "/name", "org/", "./name", "../name", "~/name", "org/.name", "a/b/c", "org/na me", "org/name@", "org/name:",
                           "org/name@../x", "org/name@/x", "org/name:../x", "models/x.gguf", "a/chat.jinja", "o--p/n", "o/n..m", "-o/n"})
    EXPECT_FALSE(parse_hub_id(text)) << text;
  EXPECT_EQ(folder_name("org/name"), "models--org--name");
}

TEST(HubSettings, ComeFromTheEnvironmentAsThePythonClientReadsIt) {
  const test::TempDir dir;
  const std::string login = dir.write("huggingface/token", "hf_login\n"), other = dir.write("other", " hf_other ");
  {
    const Environment e(Environment::Values{{"HOME", "/home"}});
    const Settings s = read_settings();
    EXPECT_EQ(s.cache, "/home/.cache/huggingface/hub");
    EXPECT_EQ(s.endpoint, "https://huggingface.co");
    EXPECT_EQ(s.token, "");
    EXPECT_FALSE(s.offline);
  }
  {
    const Environment e(Environment::Values{{"XDG_CACHE_HOME", dir.path()}, {"HF_ENDPOINT", "http://mirror/"}, {"HF_HUB_OFFLINE", ""},
                                            {"TRANSFORMERS_OFFLINE", "yes"}, {"HF_HUB_ETAG_TIMEOUT", "3"}, {"HF_HUB_DOWNLOAD_TIMEOUT", "soon"}});
    const Settings s = read_settings();
    EXPECT_EQ(s.cache, dir / "huggingface/hub");
    EXPECT_EQ(s.token, "hf_login");
    EXPECT_EQ(s.token_source, login);
    EXPECT_EQ(s.endpoint, "http://mirror");
    EXPECT_TRUE(s.offline);
    EXPECT_EQ(s.etag_timeout, 3);
    EXPECT_EQ(s.download_timeout, 10);
  }
  std::map<std::string, std::string> values{{"HF_HOME", dir / "huggingface"}, {"HF_TOKEN_PATH", other}, {"HF_HUB_CACHE", "~/hub"}, {"HOME", "/me"}};
  const auto token = [&](const std::string& given = "") {
    const Environment e(values);
    EXPECT_EQ(read_settings().cache, "/me/hub");
    return read_settings(given).token;
  };
  EXPECT_EQ(token(), "hf_other");
  values["HUGGING_FACE_HUB_TOKEN"] = "hf_old";
  EXPECT_EQ(token(), "hf_old");
  values["HF_TOKEN"] = "hf_new";
  EXPECT_EQ(token(), "hf_new");
  EXPECT_EQ(token("hf_given"), "hf_given");
  values["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1";
  EXPECT_EQ(token(), "");
  EXPECT_EQ(token("hf_given"), "hf_given");
  EXPECT_THROW(token("hf\r\nHost: evil"), Error);
}

TEST(HubAnswers, BrokenListingsAreErrorsAndNothingElse) {
  const std::string good = Json{{"sha", std::string(40, 'a')}, {"siblings", {{{"rfilename", "config.json"}}, {{"rfilename", "a/b.json"}}}}}.dump();
  EXPECT_THAT(parse_listing(good, "test").files, ElementsAre("config.json", "a/b.json"));
  for (const std::string text : {"", "[]", "null", "{}", R"({"sha": 1})", R"({"sha": "xyz", "siblings": []})", R"({"sha": "../../../x"})"})
    EXPECT_THROW(parse_listing(text, "test"), Error) << text;
  const std::string sha = R"({"sha": ")" + std::string(40, 'a') + R"(", "siblings": )";
  for (const std::string files : {"{}", "null", "[1]", "[[]]", R"([{"rfilename": 3}])", R"([{"rfilename": ""}])", R"([{"rfilename": ".."}])",
                                  R"([{"rfilename": "a\u0000b"}])", R"([{"rfilename": "/a"}])", R"([{"rfilename": "./a"}])", R"([{"rfilename": "a/"}])"})
    EXPECT_THROW(parse_listing(sha + files + "}", "test"), Error) << files;
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    std::string text = good;
    for (int k = 0; k < 3; ++k) {
      const size_t at = random() % text.size();
      if (random() % 3 == 0) text.erase(at, random() % 8);
      else text[at] = static_cast<char>(random());
      if (text.empty()) text = "x";
    }
    try {
      const RepoListing listing = parse_listing(text, "test");
      EXPECT_TRUE(is_commit(listing.commit));
      for (const std::string& name : listing.files) EXPECT_EQ(name.find(".."), std::string::npos);
    } catch (const Error&) {
    }
  }
}

TEST(HubAnswers, FactsAreCheckedBeforeTheyAreUsed) {
  const std::string commit(40, 'c');
  HttpAnswer answer{.status = 200, .headers = {{"etag", "W/\"abc\""}, {"content-length", "12"}, {"x-repo-commit", commit}}, .url = "http://hub/x"};
  EXPECT_EQ(parse_facts(answer, commit, "test").etag, "abc");
  EXPECT_EQ(parse_facts(answer, commit, "test").size, 12);
  answer.redirect = "http://cdn/x";
  EXPECT_THROW(parse_facts(answer, commit, "test"), Error) << "the length of a redirect's body is not the file's";
  answer.headers["x-linked-size"] = "34";
  EXPECT_EQ(parse_facts(answer, commit, "test").size, 34);
  EXPECT_EQ(parse_facts(answer, commit, "test").location, "http://cdn/x");
  for (const std::string& etag : std::initializer_list<std::string>{"", "\"\"", "\"", "../x", "a/b", "a b", ".", std::string(200, 'a')}) {
    answer.headers["x-linked-etag"] = etag;
    if (!etag.empty()) EXPECT_THROW(parse_facts(answer, commit, "test"), Error) << etag;
  }
  answer.headers["x-linked-etag"] = "abc";
  for (const char* size : {"x", "-5", "1e3", " 5", "0x10", "9223372036854775808", "1125899906842625"}) {
    answer.headers["x-linked-size"] = size;
    EXPECT_THROW(parse_facts(answer, commit, "test"), Error) << size;
  }
}

TEST(HubAnswers, HeadersAndOrigins) {
  HttpAnswer a;
  for (const char* line : {"HTTP/1.1 302 Found\r\n", "X-Old: 1\r\n", "HTTP/1.1 200 OK\r\n",
                           "RateLimit: \"api\";r=0;t=55\r\n", "junk\r\n", ":\r\n", "A:B:C\r\n", "\r\n"})
    read_header_line(line, a.headers);
  EXPECT_EQ(a.header("x-old"), "");
  EXPECT_EQ(a.header("a"), "B:C");
  EXPECT_EQ(a.retry_after(), 55);
  a.headers["retry-after"] = "7";
  EXPECT_EQ(a.retry_after(), 7);
  a.headers["retry-after"] = "Wed, 21 Oct 2015 07:28:00 GMT";
  EXPECT_EQ(a.retry_after(), 55);
  EXPECT_TRUE(same_origin("https://hub.co/a", "HTTPS://HUB.co:443/b"));
  for (const char* other : {"http://hub.co/a", "https://hub.co:444/", "https://hub.co.evil/", "https://evil/hub.co", "https://hub.co@evil/", "", "x"})
    EXPECT_FALSE(same_origin("https://hub.co/a", other)) << other;
  EXPECT_EQ(url_encoded("a b/ü?#%", true), "a%20b/%C3%BC%3F%23%25");
  EXPECT_EQ(url_encoded("refs/pr/1", false), "refs%2Fpr%2F1");
}

Selection select(const Names& names, const std::string& variant = "", HubFiles want = HubFiles::kModel, const std::string& index = "") {
  return select_files(names, want, variant, [&](const std::string&) { return index; });
}

TEST(HubSelect, OneFormatOfWeightsWithAllItsParts) {
  EXPECT_THAT(select({"README.md", "config.json", "model.fp16.safetensors", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "vocab.txt"}).files,
              ElementsAre("config.json", "vocab.txt", "model.safetensors"));
  EXPECT_THAT(select({"config.json", "pytorch_model.bin", "optimizer.bin"}).files, ElementsAre("config.json", "pytorch_model.bin"));
  const std::string index = R"({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}})";
  const Names sharded{"config.json", "consolidated.safetensors", "model-1.safetensors", "model-2.safetensors", "model.safetensors.index.json",
                      "pytorch_model.bin.index.json"};
  EXPECT_THAT(select(sharded, "", HubFiles::kModel, index).files, 
              ElementsAre("config.json", "model.safetensors.index.json", "model-1.safetensors", "model-2.safetensors"));
  EXPECT_THROW(select({"config.json", "model-1.safetensors", "model.safetensors.index.json"}, "", HubFiles::kModel, index), Error);
  for (const char* bad : {"", "[]", "{}", R"({"weight_map": []})", R"({"weight_map": {"a": "../x"}})", R"({"weight_map": {"a": 1}})"})
    EXPECT_THROW(select(sharded, "", HubFiles::kModel, bad), Error) << bad;
  EXPECT_THAT(select({"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}).files.size(), 3u);
  EXPECT_THROW(select({"config.json", "model-00001-of-00002.safetensors"}), Error);
  EXPECT_THROW(select({"config.json"}), Error);
  EXPECT_THROW(select({"model.safetensors"}), Error);
  EXPECT_THAT(select({"README.md", "adapter_config.json", "adapter_model.bin", "adapter_model.safetensors"}).files,
              ElementsAre("adapter_config.json", "adapter_model.safetensors"));
  EXPECT_THAT(select({"1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors", "config.json", "model.safetensors", "onnx/x.json"}).files,
              ElementsAre("1_Pooling/config.json", "2_Dense/config.json", "config.json", "model.safetensors", "2_Dense/model.safetensors"));
}

TEST(HubSelect, TextNeedsATokenizer) {
  EXPECT_THAT(select({"config.json", "model.safetensors", "tokenizer.json"}, "", HubFiles::kText).files, ElementsAre("config.json", "tokenizer.json"));
  EXPECT_EQ(select({"a-Q4_K_M.gguf", "config.json"}, "", HubFiles::kText).opens, "a-Q4_K_M.gguf");
  EXPECT_THROW(select({"config.json", "model.safetensors"}, "", HubFiles::kText), Error);
}

TEST(HubSelect, QuantizationsAreWholeWords) {
  const Names names{"UD-Q4_K_XL/m-UD-Q4_K_XL-00001-of-00002.gguf", "UD-Q4_K_XL/m-UD-Q4_K_XL-00002-of-00002.gguf", "imatrix.gguf", "m-IQ4_XS.gguf",
                    "m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-Q8_0.gguf", "mmproj-Q8_0.gguf"};
  EXPECT_EQ(select(names, "q8_0").opens, "m-Q8_0.gguf");
  EXPECT_EQ(select(names, "").opens, "m-Q4_K_M.gguf");
  EXPECT_EQ(select(names, "Q4_K_XL").files.size(), 2u);
  EXPECT_EQ(select(names, "UD-Q4_K_XL").opens, "UD-Q4_K_XL/m-UD-Q4_K_XL-00001-of-00002.gguf");
  for (const char* none : {"Q4_K", "Q4_XS", "4", "Q"}) EXPECT_THROW(select(names, none), Error) << none;
  EXPECT_THROW(select({"m-Q8_0.gguf", "m-Q5_0.gguf"}), Error) << "no usual one";
  EXPECT_EQ(select({"m-F16.gguf"}).opens, "m-F16.gguf");
}

TEST(BlobWriter, BytesMayComeInAnyOrderAndTwice) {
  std::mt19937 random(3);
  const test::TempDir dir;
  std::string bytes(100000, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  const std::string path = dir / test::sha256(bytes);
  BlobWriter writer(path, test::sha256(bytes), static_cast<int64_t>(bytes.size()), [](int64_t) {});
  std::vector<size_t> starts;
  for (size_t at = 0; at < bytes.size(); at += 1000) starts.push_back(at), starts.push_back(at);
  std::shuffle(starts.begin(), starts.end(), random);
  for (const size_t at : starts) {
    writer.put(static_cast<int64_t>(at), std::string_view(bytes).substr(at, 400));
    writer.put(static_cast<int64_t>(at + 400), std::string_view(bytes).substr(at + 400, 600));
    ASSERT_EQ(read_file(path + ".incomplete"), bytes.substr(0, static_cast<size_t>(writer.written())));
  }
  EXPECT_THROW(writer.put(99999, "ab"), Error);
  EXPECT_THROW(writer.put(-1, "a"), Error);
  EXPECT_THROW(writer.put(int64_t{1} << 62, "a"), Error);
  writer.finish("x");
  EXPECT_EQ(read_file(path), bytes);
}

}  // namespace
}  // namespace transom::hub
