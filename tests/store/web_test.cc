// Addresses, and what a registry or the hub says: all of it comes from strangers.
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "store/digest.h"
#include "store/hub.h"
#include "store/manifest.h"
#include "store/proxy.h"
#include "store/url.h"

namespace hone::store {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

TEST(Url, Parts) {
  const Url url = parse_url("https://Example.org/a/b?c=d#e");
  EXPECT_TRUE(url.tls);
  EXPECT_EQ(url.host + " " + url.port + " " + url.target, "example.org 443 /a/b?c=d");
  EXPECT_EQ(parse_url("http://[::1]:5000").text(), "http://[::1]:5000/");
  EXPECT_EQ(parse_url("http://h:80/x").origin(), "http://h");
  EXPECT_FALSE(parse_url("http://h").same_origin(parse_url("https://h")));
  EXPECT_FALSE(parse_url("http://h:1").same_origin(parse_url("http://h:2")));
  for (const char* bad : {"", "ftp://h", "h/x", "http://", "http://u@h/", "http://u:p@h", "http://h:x/", "http://h:99999", "http://h:/", "http://h /", "http://h/a\r\nb", "http://h\\x/", "http://[::1/"})
    EXPECT_THROW(parse_url(bad), Error) << bad;
}

TEST(Url, References) {
  const Url base = parse_url("https://h:1/a/b?q");
  EXPECT_EQ(resolve(base, "http://o/x").text(), "http://o/x");
  EXPECT_EQ(resolve(base, "//o/x").text(), "https://o/x");
  EXPECT_EQ(resolve(base, "/x?y").text(), "https://h:1/x?y");
  EXPECT_EQ(resolve(base, "x").text(), "https://h:1/a/x");
  EXPECT_EQ(resolve(base, "?y").text(), "https://h:1/a/b?y");
  EXPECT_THROW(resolve(base, "/x y"), Error);
  EXPECT_EQ(url_encoded("a b/ü:"), "a%20b%2F%C3%BC%3A");
}

using Variables = std::map<std::string, std::string>;

// "host:port authorization" of the proxy to an address, "" for none, "refused" for settings that are wrong.
std::string way_to(const std::string& url, const Variables& variables) {
  try {
    const auto proxy = proxy_for(parse_url(url), [&](const char* name) { const auto it = variables.find(name); return it == variables.end() ? "" : it->second; });
    return proxy ? proxy->place() + (proxy->authorization.empty() ? "" : " " + proxy->authorization) : "";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos) << "a password is not told";
    return "refused";
  }
}

TEST(Proxies, ByTheSchemeOfTheAddress) {
  const Variables both = {{"HTTP_PROXY", "http://plain:1"}, {"https_proxy", "secure:2"}};
  EXPECT_EQ(way_to("http://example.org", both), "plain:1");
  EXPECT_EQ(way_to("https://example.org", both), "secure:2");
  EXPECT_EQ(way_to("https://example.org", {{"HTTP_PROXY", "http://plain:1"}}), "");
  EXPECT_EQ(way_to("https://example.org", {{"ALL_PROXY", "http://any:3/"}}), "any:3");
  EXPECT_EQ(way_to("https://example.org", {{"https_proxy", "small:1"}, {"HTTPS_PROXY", "capital:2"}}), "small:1");
  EXPECT_EQ(way_to("https://example.org", {{"https_proxy", ""}, {"HTTPS_PROXY", "http://[::1]"}}), "[::1]:80");
  EXPECT_EQ(way_to("http://h", {{"http_proxy", "http://ann:se%3Acret%20x@p:8080"}}), "p:8080 Basic YW5uOnNlOmNyZXQgeA==");
  EXPECT_EQ(way_to("http://h", {{"http_proxy", "ann@p"}}), "p:80 Basic YW5uOg==");
  for (const char* bad : {"https://p:1", "socks5://secret@p:1", "http://", "http://secret:secret@", "p:port", "p:1/path", "a b"}) EXPECT_EQ(way_to("http://h", {{"http_proxy", bad}}), "refused") << bad;
}

TEST(Proxies, NotForWhatIsNear) {
  const auto without = [](const char* url, const char* list) { return way_to(url, {{"http_proxy", "p:1"}, {"NO_PROXY", list}}).empty(); };
  for (const char* near : {"http://localhost:5000", "http://127.0.0.1", "http://127.9.9.9", "http://[::1]:80", "http://a.localhost"}) EXPECT_TRUE(without(near, "")) << near;
  for (const auto& [url, list] : {std::pair{"http://example.org", "*"}, {"http://example.org", "other, Example.org"}, {"http://a.example.org", "example.org"}, {"http://a.example.org", ".example.org"}, {"http://a.example.org", "*.example.org"},
                                  {"http://example.org", ".example.org"}, {"http://example.org:5000", "example.org:5000"}, {"http://10.1.2.3", "10.0.0.0/8"}, {"http://10.1.2.3", "10.1.2.3"}, {"http://[fd00::1]", "fd00::/8"},
                                  {"http://[fd00::1]:5", "[fd00::1]:5"}, {"http://[fd00:0::1]", "fd00::1"}})
    EXPECT_TRUE(without(url, list)) << url << " " << list;
  for (const auto& [url, list] : {std::pair{"http://example.org", ""}, {"http://example.org", "ample.org"}, {"http://example.org", "a.example.org"}, {"http://example.org:5000", "example.org:80"}, {"http://11.1.2.3", "10.0.0.0/8"},
                                  {"http://10.1.2.3", "10.0.0.0/x"}, {"http://10.1.2.3", "10.0.0.0/99"}, {"http://example.org", "10.0.0.0/0"}, {"http://example.org", ","}, {"http://example.org", "."}})
    EXPECT_FALSE(without(url, list)) << url << " " << list;
}

TEST(Digest, OfTextAndItsForm) {
  EXPECT_EQ(digest_of("abc"), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(blob_file(kDigest), "sha256-" + std::string(64, 'a'));
  for (const std::string& bad : {std::string(), std::string("sha256:"), std::string("sha1:") + std::string(64, 'a'), "sha256:" + std::string(64, 'A'), "sha256:" + std::string(63, 'a'), "sha256:" + std::string(65, 'a'),
                                "sha256:../" + std::string(61, 'a')})
    EXPECT_THROW(blob_file(bad), Error) << bad;
}

TEST(Manifests, ReadAndWritten) {
  Manifest manifest;
  manifest.config = {"c", kDigest, 3};
  manifest.layers = {{"m", kDigest, 1}, {"n", kDigest, uint64_t{1} << 40}};
  const Manifest back = parse_manifest(to_json(manifest), "text");
  EXPECT_EQ(to_json(back), to_json(manifest));
  EXPECT_EQ(back.size(), 4 + (uint64_t{1} << 40));
}

TEST(Manifests, RefuseWhatIsMalformed) {
  const std::string layer = R"({"mediaType":"m","digest":")" + kDigest + R"(","size":1})";
  const auto with = [&](const std::string& config, const std::string& layers) { return "{\"config\":" + config + ",\"layers\":" + layers + "}"; };
  EXPECT_NO_THROW(parse_manifest(with(layer, "[" + layer + "]"), "text"));
  std::vector<std::string> bad = {"", "[]", "{}", "null", with(layer, "{}"), with(layer, "[1]"), with("1", "[]"), with(layer, "[{}]"), R"({"manifests":[]})", std::string(100000, '[')};
  for (const char* size : {"-1", "1.5", "\"1\"", "1e30", "18446744073709551615", "null"}) bad.push_back(with(layer, "[{\"mediaType\":\"m\",\"digest\":\"" + kDigest + "\",\"size\":" + size + "}]"));
  bad.push_back(with(layer, R"([{"mediaType":"m","digest":"sha256:../../x","size":1}])"));
  bad.push_back(with(layer, R"([{"digest":")" + kDigest + R"(","size":1}])"));
  std::string many = layer;
  for (int i = 0; i < 5000; ++i) many += "," + layer;
  bad.push_back(with(layer, "[" + many + "]"));
  for (const std::string& text : bad) EXPECT_THROW(parse_manifest(text, "text"), Error) << text.substr(0, 200);
}

TEST(Manifests, Counts) {
  EXPECT_EQ(human_count(134515008), "134.52M");
  EXPECT_EQ(human_count(7000000000), "7B");
  EXPECT_EQ(human_count(1543714304), "1.5B");
  EXPECT_EQ(human_count(1500), "2K");
  EXPECT_EQ(human_count(999), "999");
}

HubRepository repository(const std::vector<std::string>& names) {
  HubRepository out;
  for (const std::string& name : names) out.files.push_back({name, 1, std::string(64, 'a')});
  return out;
}

TEST(Hub, ChoosesOneGguf) {
  const HubRepository r = repository({"README.md", "x-Q8_0.gguf", "x-Q4_K_M.gguf", "x-IQ4_K.gguf", "mmproj-x-Q4_K_M.gguf", "x-F16-00001-of-00002.gguf"});
  EXPECT_EQ(choose_gguf(r, "latest", "r").name, "x-Q4_K_M.gguf");
  EXPECT_EQ(choose_gguf(r, "q8_0", "r").name, "x-Q8_0.gguf");
  EXPECT_EQ(choose_gguf(r, "x-Q8_0.gguf", "r").name, "x-Q8_0.gguf");
  EXPECT_THROW(choose_gguf(r, "Q4_K", "r"), Error) << "a part of a word is no word";
  EXPECT_THROW(choose_gguf(r, "F16", "r"), Error) << "split over files";
  EXPECT_THROW(choose_gguf(repository({"x.bin"}), "latest", "r"), Error);
}

TEST(Hub, ChoosesOneSetOfWeights) {
  const auto names = [](const HubRepository& r) {
    std::string all;
    for (const HubFile& file : model_files(r, "r")) all += file.name + " ";
    return all;
  };
  EXPECT_EQ(names(repository({"config.json", "model.safetensors", "other.safetensors", "tokenizer.json", "pytorch_model.bin", "README.md", "chat_template.jinja"})), "config.json model.safetensors tokenizer.json chat_template.jinja ");
  EXPECT_EQ(names(repository({"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "consolidated.safetensors", "model.safetensors.index.json"})),
            "config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json ");
  EXPECT_THROW(model_files(repository({"config.json", "pytorch_model.bin"}), "r"), Error);
}

TEST(Hub, ReadsTheListOfFiles) {
  const std::string sha = std::string(40, '0');
  const HubRepository r = parse_repository(R"({"sha":")" + sha + R"(","siblings":[{"rfilename":"a.json","size":2,"blobId":")" + sha + R"("},{"rfilename":"../b","size":2,"blobId":")" + sha +
                                               R"("},{"rfilename":"d/c","size":2},{"rfilename":".git","size":1},{"rfilename":"m.gguf","size":9,"blobId":")" + sha + R"(","lfs":{"sha256":")" + std::string(64, 'b') + R"("}}]})",
                                           "text");
  ASSERT_EQ(r.files.size(), 2u) << "names that are no plain file of the top folder are left out";
  EXPECT_FALSE(r.files[0].large());
  EXPECT_EQ(r.files[1].etag, std::string(64, 'b'));
  for (const std::string& bad : {std::string("{}"), std::string("[]"), R"({"sha":"../x","siblings":[]})" + std::string(), R"({"sha":")" + sha + R"("})", R"({"sha":")" + sha + R"(","siblings":[{"rfilename":"a","size":-1,"blobId":")" + sha + R"("}]})",
                                R"({"sha":")" + sha + R"(","siblings":[{"rfilename":"a","size":1,"blobId":"../../x"}]})"})
    EXPECT_THROW(parse_repository(bad, "text"), Error) << bad;
}

}  // namespace
}  // namespace hone::store
