// Digests by OpenSSL, which libcurl brings and which uses the processor's SHA instructions: see digest.h.
#include "hub/digest.h"

#include <openssl/evp.h>

#include "base/error.h"
#include "hub/hub_id.h"

namespace transom::hub {

void Digest::Free::operator()(void* context) const { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context)); }

std::optional<Digest> Digest::for_etag(std::string_view etag, int64_t size) {
  const bool git = is_hex(etag, 40);
  if (!git && !is_hex(etag, 64)) return std::nullopt;
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  Digest digest(context);
  CHECK(context && EVP_DigestInit_ex(context, git ? EVP_sha1() : EVP_sha256(), nullptr) == 1);
  if (git) digest.update("blob " + std::to_string(size) + std::string(1, '\0'));
  return digest;
}

void Digest::update(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_.get()), bytes.data(), bytes.size()) == 1);
}

std::string Digest::hex() {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  CHECK(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_.get()), bytes, &size) == 1);
  std::string out;
  for (unsigned int i = 0; i < size; ++i) out += {"0123456789abcdef"[bytes[i] >> 4], "0123456789abcdef"[bytes[i] & 15]};
  return out;
}

}  // namespace transom::hub
