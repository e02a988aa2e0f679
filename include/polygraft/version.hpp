/// Versions as data.

#ifndef POLYGRAFT_VERSION_HPP
#define POLYGRAFT_VERSION_HPP

#include "call.hpp"

POLYGRAFT_BEGIN

/// One version of one language's adapter for one task.
struct Version {
  std::string task;
  /// The language, or `mul` for the shared adapter.
  std::string language;
  std::uint32_t number;
  /// The BLAKE3 hash of the content, in hexadecimal.
  std::string hash;
  std::uint64_t size_bytes;
  /// Milliseconds since 1970-01-01 00:00 UTC.
  std::uint64_t created_unix_ms;
  /// The version that was active when this one was published; 0 for none.
  std::uint32_t parent;
  bool active;
  bool pinned;
};

namespace detail {

/// The versions of a list, which stays its owner's.
inline Result<std::vector<Version>> versions(const polygraft_versions *raw) {
  return list<polygraft_version>(
      polygraft_versions_count(raw),
      [&](std::size_t index, polygraft_version *entry, polygraft_error **error) {
        return polygraft_versions_get(raw, index, entry, error);
      },
      [](const polygraft_version &entry) {
        return Version{own(entry.task),  own(entry.language),   entry.number,
                       own(entry.hash),  entry.size_bytes,      entry.created_unix_ms,
                       entry.parent,     entry.active != 0,     entry.pinned != 0};
      });
}

/// The versions of the list that `call(&list, &error)` gives, which is freed.
template <class Call, class = std::enable_if_t<
                          std::is_invocable_v<Call, polygraft_versions **, polygraft_error **>>>
Result<std::vector<Version>> versions(Call call) {
  polygraft_versions *raw = nullptr;
  polygraft_error *error = nullptr;
  const polygraft_status status = call(&raw, &error);
  if (status != POLYGRAFT_OK) {
    return failed<std::vector<Version>>(Error::take(status, error));
  }
  const std::unique_ptr<polygraft_versions, End<polygraft_versions, polygraft_versions_free>>
      owner(raw);
  return versions(const_cast<const polygraft_versions *>(raw));
}

}  // namespace detail

POLYGRAFT_END

#endif  // POLYGRAFT_VERSION_HPP
