// The word `format`: what each one means as a pattern.
#include <algorithm>
#include <map>
#include <string>

#include "base/error.h"
#include "serve/schema/pattern.h"

namespace hone::serve {
namespace {

// Proleptic Gregorian, years 1 to 9999: leap years are the multiples of 4 but not of 100, and those of 400 (RFC 3339, appendix C).
const std::string kYear = "(?:[1-9]\\d{3}|0[1-9]\\d{2}|00[1-9]\\d|000[1-9])";
const std::string kLeapYear = "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)";
const std::string kDate = "(?:" + kYear + "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))|" + kLeapYear + "-02-29)";
const std::string kClock = "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?";
const std::string kZone = "(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)";
const std::string kByte = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const std::string kIpv4 = "(?:" + kByte + "\\.){3}" + kByte;
const std::string kLabel = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,38}[A-Za-z0-9])?";  // of 63 characters, a whole name of 253: six of these stay below
const std::string kHost = "(?:" + kLabel + "\\.){0,5}" + kLabel;
const std::string kHex = "[0-9A-Fa-f]";

std::string ipv6() {
  const std::string piece = kHex + "{1,4}";
  std::string all = "(?:" + piece + ":){7}" + piece;
  for (int before = 0; before <= 6; ++before) {  // pieces in front of "::"; at most 7 in all
    const std::string front = before == 0 ? "" : "(?:" + piece + ":){" + std::to_string(before - 1) + "}" + piece;
    all += "|" + front + "::(?:(?:" + piece + ":){0," + std::to_string(6 - before) + "}" + piece + ")?";
  }
  return "(?:" + all + "|" + "(?:" + piece + ":){7}:" + ")";
}

// Characters of RFC 3986: unreserved, sub-delims, ":" and "@", or percent-encoded.
const std::string kPathChar = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%" + kHex + "{2})";
const std::string kUriEnd = "(?:\\?(?:" + kPathChar + "|[/?])*)?(?:#(?:" + kPathChar + "|[/?])*)?";
const std::string kAuthority = "(?:[A-Za-z0-9._~!$&'()*+,;=:-]+@)?" + kHost + "(?::\\d{1,4})?";

std::string uri() { return "[A-Za-z][A-Za-z0-9+.-]{0,30}://" + kAuthority + "(?:/" + kPathChar + "*)*" + kUriEnd; }

const std::map<std::string, std::string, std::less<>>& format_patterns() {
  static const auto made = [] {
    std::map<std::string, std::string, std::less<>> all;
    all["date"] = kDate;
    all["time"] = kClock + kZone;
    all["date-time"] = kDate + "T" + kClock + kZone;
    all["iso-time"] = kClock;
    all["duration"] = "P(?:\\d{1,6}W|(?=[0-9]|T[0-9])(?:\\d{1,6}Y)?(?:\\d{1,6}M)?(?:\\d{1,6}D)?(?:T(?=[0-9])(?:\\d{1,6}H)?(?:\\d{1,6}M)?(?:\\d{1,6}(?:\\.\\d{1,6})?S)?)?)";
    all["uuid"] = all["guid"] = kHex + "{8}-" + kHex + "{4}-" + kHex + "{4}-" + kHex + "{4}-" + kHex + "{12}";
    for (int version = 1; version <= 8; ++version) all["uuid" + std::to_string(version)] = kHex + "{8}-" + kHex + "{4}-" + std::to_string(version) + kHex + "{3}-[89ABab]" + kHex + "{3}-" + kHex + "{12}";
    const std::string local = "[A-Za-z0-9_+-]{1,32}(?:\\.[A-Za-z0-9_+-]{1,15}){0,2}";
    all["email"] = all["idn-email"] = all["name-email"] = local + "@(?:" + kLabel + "\\.){1,4}[A-Za-z]{2,24}";
    all["hostname"] = all["idn-hostname"] = kHost;
    all["ipv4"] = kIpv4;
    all["ipv6"] = ipv6();
    all["ipvanyaddress"] = kIpv4 + "|" + ipv6();
    const std::string bits4 = "/(?:3[0-2]|[12]?\\d)", bits6 = "/(?:12[0-8]|1[01]\\d|[1-9]?\\d)";
    all["ipv4interface"] = all["cidrv4"] = kIpv4 + bits4;
    all["ipv6interface"] = all["cidrv6"] = ipv6() + bits6;
    all["ipvanyinterface"] = kIpv4 + bits4 + "|" + ipv6() + bits6;
    // Networks have no bits beyond their mask: those of whole bytes.
    all["ipv4network"] = kByte + "\\.0\\.0\\.0/8|" + kByte + "\\." + kByte + "\\.0\\.0/16|(?:" + kByte + "\\.){3}0/24|" + kIpv4 + "/32";
    all["ipv6network"] = ipv6() + "/128|(?:" + kHex + "{1,4}:){1,4}:/64";
    all["ipvanynetwork"] = all["ipv4network"] + "|" + all["ipv6network"];
    all["uri"] = all["url"] = all["iri"] = all["multi-host-uri"] = uri();
    all["uri-reference"] = all["iri-reference"] = uri() + "|(?:/" + kPathChar + "+)+" + kUriEnd + "|(?:[A-Za-z0-9._~-]+/)*[A-Za-z0-9._~-]+" + kUriEnd;
    all["json-pointer"] = "(?:/(?:[^/~]|~[01])*)*";
    all["relative-json-pointer"] = "(?:0|[1-9]\\d{0,5})(?:#|(?:/(?:[^/~]|~[01])*)*)";
    all["base64"] = all["byte"] = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?";
    all["base64url"] = "[A-Za-z0-9_-]*";
    all["nanoid"] = "[A-Za-z0-9_-]{21}";
    all["cuid"] = "c[a-z0-9]{24}";
    all["cuid2"] = "[a-z][a-z0-9]{23}";
    all["ulid"] = "[0-7][0-9A-HJKMNP-TV-Z]{25}";
    all["xid"] = "[0-9a-v]{20}";
    all["ksuid"] = "[A-Za-z0-9]{27}";
    all["e164"] = "\\+[1-9]\\d{6,14}";
    for (auto& [name, pattern] : all) pattern = "^(?:" + pattern + ")$";
    return all;
  }();
  return made;
}

}  // namespace

const char* format_pattern(std::string_view format, const std::string& where) {
  if (const auto known = format_patterns().find(format); known != format_patterns().end()) return known->second.c_str();
  // Words about meaning or storage, not about form.
  static constexpr std::string_view kFree[] = {"password", "path", "file-path", "directory-path", "binary", "textarea", "markdown", "html", "string"};
  if (std::find(std::begin(kFree), std::end(kFree), format) != std::end(kFree)) return nullptr;
  throw Error(ErrorCode::kUnsupported, where, fmt::format("answers cannot be held to the format {}", format), "write it as a pattern");
}

}  // namespace hone::serve
