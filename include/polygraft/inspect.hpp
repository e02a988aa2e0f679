/// What a store contains, and who serves a language.

#ifndef POLYGRAFT_INSPECT_HPP
#define POLYGRAFT_INSPECT_HPP

#include "call.hpp"

POLYGRAFT_BEGIN

/// One step of the chain of languages that are asked for a version.
struct ChainStep {
  /// Why the language is asked, one of POLYGRAFT_STEP_*.
  std::uint32_t kind;
  std::string language;
  /// The typological distance to the language asked for, from 0 to 1; NaN if there is none.
  double distance;
  /// The language's active version; 0 for none.
  std::uint32_t version;
  /// Whether this version serves. At most one step of a chain does.
  bool serves;
};

/// What a store contains of all tasks together; all fields are numbers.
using StoreStatistics = polygraft_store_statistics;

/// What a store contains of one task. The fields are those of polygraft_task_statistics.
struct TaskStatistics {
  std::string task;
  bool has_checkpoint;
  std::uint64_t languages_count;
  std::uint64_t versions_count;
  std::uint64_t active_count;
  std::uint64_t pinned_count;
  std::uint64_t versions_size_bytes;
  std::uint64_t reports_count;
  std::uint64_t examples_languages_count;
  std::uint64_t examples_count;
  std::uint64_t examples_size_bytes;
};

/// What a store remembers of one language of a task.
struct ExamplesStatistics {
  std::string language;
  std::uint64_t training_count;
  std::uint64_t held_out_count;
  std::uint64_t pending_count;
  std::uint64_t size_bytes;
  /// The day of the oldest example, in milliseconds since 1970-01-01 00:00 UTC; 0 if not known.
  std::uint64_t oldest_unix_ms;
};

/// What a store contained when it was counted.
class Statistics : public detail::Object<polygraft_statistics, polygraft_statistics_free> {
 public:
  using Object::Object;

  /// The sums over all tasks.
  Result<StoreStatistics> store() const {
    return detail::entry<StoreStatistics>(
        [&](StoreStatistics *entry, polygraft_error **error) {
          return polygraft_statistics_store(get(), entry, error);
        },
        [](const StoreStatistics &entry) { return entry; });
  }

  /// All tasks, sorted by name.
  Result<std::vector<TaskStatistics>> tasks() const {
    return detail::list<polygraft_task_statistics>(
        polygraft_statistics_tasks_count(get()),
        [&](std::size_t index, polygraft_task_statistics *entry, polygraft_error **error) {
          return polygraft_statistics_task(get(), index, entry, error);
        },
        [](const polygraft_task_statistics &entry) {
          return TaskStatistics{detail::own(entry.task),
                                entry.has_checkpoint != 0,
                                entry.languages_count,
                                entry.versions_count,
                                entry.active_count,
                                entry.pinned_count,
                                entry.versions_size_bytes,
                                entry.reports_count,
                                entry.examples_languages_count,
                                entry.examples_count,
                                entry.examples_size_bytes};
        });
  }

  /// What is remembered of each language of `tasks()[task_index]`.
  Result<std::vector<ExamplesStatistics>> examples(std::size_t task_index) const {
    polygraft_task_statistics task{};
    task.struct_size = sizeof task;
    polygraft_error *error = nullptr;
    const polygraft_status status = polygraft_statistics_task(get(), task_index, &task, &error);
    if (status != POLYGRAFT_OK) {
      return detail::failed<std::vector<ExamplesStatistics>>(Error::take(status, error));
    }
    return detail::list<polygraft_examples_statistics>(
        static_cast<std::size_t>(task.examples_languages_count),
        [&](std::size_t index, polygraft_examples_statistics *entry, polygraft_error **failure) {
          return polygraft_statistics_examples(get(), task_index, index, entry, failure);
        },
        [](const polygraft_examples_statistics &entry) {
          return ExamplesStatistics{detail::own(entry.language), entry.training_count,
                                    entry.held_out_count,        entry.pending_count,
                                    entry.size_bytes,            entry.oldest_unix_ms};
        });
  }
};

namespace detail {

/// The steps of a chain, which is freed.
inline Result<std::vector<ChainStep>> steps(polygraft_chain *raw) {
  const std::unique_ptr<polygraft_chain, End<polygraft_chain, polygraft_chain_free>> owner(raw);
  return list<polygraft_chain_step>(
      polygraft_chain_count(raw),
      [&](std::size_t index, polygraft_chain_step *step, polygraft_error **error) {
        return polygraft_chain_get(raw, index, step, error);
      },
      [](const polygraft_chain_step &step) {
        return ChainStep{step.kind, own(step.language), step.distance, step.version,
                         step.serves != 0};
      });
}

}  // namespace detail

POLYGRAFT_END

#endif  // POLYGRAFT_INSPECT_HPP
