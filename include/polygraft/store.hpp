/// Versions on disk: list, activate, roll back, pin.

#ifndef POLYGRAFT_STORE_HPP
#define POLYGRAFT_STORE_HPP

#include "report.hpp"

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

/// The versions of all tasks and languages in a folder. Several processes may open one store.
class Store : public detail::Handle<polygraft_store, polygraft_store_close> {
 public:
  using Handle::Handle;

  /// Opens the store in a folder, and creates it if the folder is empty or absent.
  static Result<Store> open(Text path) {
    return detail::make<Store>(
        [&](polygraft_store **store, polygraft_error **error) {
          return polygraft_store_open(path.c_str(), store, error);
        },
        path);
  }

  /// The versions of all tasks, ordered by task, language and number.
  Result<std::vector<Version>> versions() const { return versions_of(nullptr); }

  /// The versions of one task.
  Result<std::vector<Version>> versions(Text task) const {
    if (std::optional<Error> problem = task.problem()) {
      return detail::failed<std::vector<Version>>(std::move(*problem));
    }
    return versions_of(task.c_str());
  }

  /// Activates version `numbers[i]` for `languages[i]`, for all of them in one step.
  Result<void> activate(Text task, const Texts &languages,
                        const std::vector<std::uint32_t> &numbers) const {
    if (languages.size() != numbers.size()) {
      return detail::failed<void>(
          Error(POLYGRAFT_ERROR_ARGUMENT_INVALID,
                "expected a version for each language, found " + std::to_string(numbers.size()) +
                    " versions for " + std::to_string(languages.size()) + " languages"));
    }
    return detail::check(
        [&](polygraft_error **error) {
          return polygraft_store_activate(get(), task.c_str(), languages.data(), numbers.data(),
                                          numbers.size(), error);
        },
        task, languages);
  }

  /// Activates a version of one language.
  Result<void> activate(Text task, Text language, std::uint32_t number) const {
    return activate(std::move(task), Texts{std::move(language)}, {number});
  }

  /// Returns to the version that was active before. Gives its number, or 0 if there is none.
  Result<std::uint32_t> roll_back(Text task, Text language) const {
    return detail::read<std::uint32_t>(
        [&](std::uint32_t *number, polygraft_error **error) {
          return polygraft_store_roll_back(get(), task.c_str(), language.c_str(), number, error);
        },
        task, language);
  }

  /// Keeps a language on its active version until it is unpinned. Gives the version's number.
  Result<std::uint32_t> pin(Text task, Text language) const {
    return detail::read<std::uint32_t>(
        [&](std::uint32_t *number, polygraft_error **error) {
          return polygraft_store_pin(get(), task.c_str(), language.c_str(), number, error);
        },
        task, language);
  }

  Result<void> unpin(Text task, Text language) const {
    return detail::check(
        [&](polygraft_error **error) {
          return polygraft_store_unpin(get(), task.c_str(), language.c_str(), error);
        },
        task, language);
  }

  /// The reports of all updates of a task that were committed.
  Result<Reports> reports(Text task) const {
    return detail::make<Reports>(
        [&](polygraft_reports **reports, polygraft_error **error) {
          return polygraft_store_reports(get(), task.c_str(), reports, error);
        },
        task);
  }

  /// Removes the checkpoint of a stopped update of a task, so that another one can begin.
  Result<void> discard_checkpoint(Text task) const {
    return detail::check(
        [&](polygraft_error **error) {
          return polygraft_store_discard_checkpoint(get(), task.c_str(), error);
        },
        task);
  }

 private:
  Result<std::vector<Version>> versions_of(const char *task) const {
    polygraft_versions *list = nullptr;
    polygraft_error *error = nullptr;
    polygraft_status status = polygraft_store_versions(get(), task, &list, &error);
    const std::unique_ptr<polygraft_versions,
                          detail::End<polygraft_versions, polygraft_versions_free>>
        owner(list);
    std::vector<Version> versions;
    const std::size_t count = polygraft_versions_count(list);
    versions.reserve(count);
    for (std::size_t index = 0; index < count && status == POLYGRAFT_OK; index++) {
      polygraft_version entry{};
      entry.struct_size = sizeof entry;
      status = polygraft_versions_get(list, index, &entry, &error);
      if (status == POLYGRAFT_OK) {
        versions.push_back({detail::own(entry.task), detail::own(entry.language), entry.number,
                            detail::own(entry.hash), entry.size_bytes, entry.created_unix_ms,
                            entry.parent, entry.active != 0, entry.pinned != 0});
      }
    }
    if (status != POLYGRAFT_OK) {
      return detail::failed<std::vector<Version>>(Error::take(status, error));
    }
    return versions;
  }
};

POLYGRAFT_END

#endif  // POLYGRAFT_STORE_HPP
