// What the environment says about the hub and its cache, in the words of Hugging Face's Python client.
#pragma once

#include <string>

namespace transom::hub {

struct Settings {
  std::string cache;                                // HF_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub
  std::string endpoint = "https://huggingface.co";  // HF_ENDPOINT, without a slash at its end
  std::string token, token_source;                  // empty: none; "HF_TOKEN", a file, …: for messages
  std::string token_file;                           // where a login is looked up
  std::string ca_file;                              // certificates other than the system's
  bool offline = false;                             // HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE
  int etag_timeout = 10, download_timeout = 10;     // seconds without an answer or a byte
  double backoff = 1;                               // seconds before the first new try; each further one waits twice as long
};

Settings read_settings(const std::string& token = "");

}  // namespace transom::hub
