/// Versions on disk: list, activate, roll back, pin, remove; what is remembered, and wiping it.

#ifndef POLYGRAFT_STORE_HPP
#define POLYGRAFT_STORE_HPP

#include "checks.hpp"
#include "inspect.hpp"
#include "report.hpp"
#include "version.hpp"
#include "wipe.hpp"

POLYGRAFT_BEGIN

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

  /// Wipes remembered examples of a task, and names the versions that may have learnt from them.
  Result<Wiped> wipe(Text task, const WipeOptions &options = WipeOptions()) const {
    const detail::RawWipeOptions raw_options(options);
    return detail::make<Wiped>(
        [&](polygraft_wiped **wiped, polygraft_error **error) {
          return polygraft_store_wipe(get(), task.c_str(), raw_options.get(), wiped, error);
        },
        task, raw_options);
  }

  /// Removes old versions of all languages with their files: the active and the `keep_last` newest
  /// ones stay. Gives the removed versions as they were.
  Result<std::vector<Version>> remove_versions(Text task, std::uint32_t keep_last) const {
    return removed(task, nullptr, keep_last);
  }

  /// The same for one language.
  Result<std::vector<Version>> remove_versions(Text task, Text language,
                                               std::uint32_t keep_last) const {
    return removed(task, &language, keep_last);
  }

  /// Why a version serves a language: every language that is asked for one, in order.
  Result<std::vector<ChainStep>> explain(Text task, Text language) const {
    if (std::optional<Error> problem = detail::problem(task, language)) {
      return detail::failed<std::vector<ChainStep>>(std::move(*problem));
    }
    polygraft_chain *raw = nullptr;
    polygraft_error *error = nullptr;
    const polygraft_status status =
        polygraft_store_explain(get(), task.c_str(), language.c_str(), &raw, &error);
    if (status != POLYGRAFT_OK) {
      return detail::failed<std::vector<ChainStep>>(Error::take(status, error));
    }
    return detail::steps(raw);
  }

  /// Counts what the store contains.
  Result<Statistics> count() const {
    return detail::make<Statistics>(
        [&](polygraft_statistics **statistics, polygraft_error **error) {
          return polygraft_store_count(get(), statistics, error);
        });
  }

  /// Compares every version with its hash. One check for each file that is missing or damaged.
  Result<Checks> verify() const {
    return detail::make<Checks>([&](polygraft_checks **checks, polygraft_error **error) {
      return polygraft_store_verify(get(), checks, error);
    });
  }

 private:
  Result<std::vector<Version>> removed(const Text &task, const Text *language,
                                       std::uint32_t keep_last) const {
    std::optional<Error> problem = task.problem();
    if (!problem && language != nullptr) {
      problem = language->problem();
    }
    if (problem) {
      return detail::failed<std::vector<Version>>(std::move(*problem));
    }
    return detail::versions([&](polygraft_versions **list, polygraft_error **error) {
      return polygraft_store_remove_versions(get(), task.c_str(),
                                             language == nullptr ? nullptr : language->c_str(),
                                             keep_last, list, error);
    });
  }

  Result<std::vector<Version>> versions_of(const char *task) const {
    return detail::versions([&](polygraft_versions **list, polygraft_error **error) {
      return polygraft_store_versions(get(), task, list, error);
    });
  }
};

POLYGRAFT_END

#endif  // POLYGRAFT_STORE_HPP
