/// What updates did, language by language.

#ifndef POLYGRAFT_REPORT_HPP
#define POLYGRAFT_REPORT_HPP

#include "call.hpp"

POLYGRAFT_BEGIN

/// Sums over languages, all numbers; polygraft.h explains the fields.
using Summary = polygraft_summary;

/// The training of an update in figures; polygraft.h explains the fields.
using Training = polygraft_training;

/// The entry of one language in a report. The fields are those of polygraft_language_report.
struct LanguageReport {
  std::string language;
  /// One of POLYGRAFT_DECISION_*.
  std::uint32_t decision;
  /// One of POLYGRAFT_REASON_*, and the same as a sentence.
  std::uint32_t reason_kind;
  std::string reason;
  /// One of POLYGRAFT_CANDIDATE_*.
  std::uint32_t candidate;
  double strength;
  /// The version that the commit gave the candidate; 0 before the commit and without a candidate.
  std::uint32_t version;
  /// Whether the update has new training examples in this language.
  bool updated;
  /// Scores from 0 to 1; NaN where there is nothing to measure.
  double before;
  double after;
  double change;
  double lower_bound;
  double upper_bound;
  double loss_chance;
  std::uint64_t report_examples;
  std::uint64_t selection_examples;
  std::uint64_t gained;
  std::uint64_t lost;
  std::uint64_t examples_needed;
  std::uint64_t examples_borrowed;

  /// Whether the candidate becomes the language's active version.
  bool is_activated() const noexcept { return decision == POLYGRAFT_DECISION_ACTIVATE; }
};

namespace detail {

inline LanguageReport own(const polygraft_language_report &entry) {
  return LanguageReport{own(entry.language),
                        entry.decision,
                        entry.reason_kind,
                        own(entry.reason),
                        entry.candidate,
                        entry.strength,
                        entry.version,
                        entry.updated != 0,
                        entry.before,
                        entry.after,
                        entry.change,
                        entry.lower_bound,
                        entry.upper_bound,
                        entry.loss_chance,
                        entry.report_examples,
                        entry.selection_examples,
                        entry.gained,
                        entry.lost,
                        entry.examples_needed,
                        entry.examples_borrowed};
}

}  // namespace detail

/// The effect of an update on each language.
class Report : public detail::Object<polygraft_report, polygraft_report_free> {
 public:
  using Object::Object;

  std::string task() const { return detail::own(polygraft_report_task(get())); }
  /// The name of the strategy, for example `uriel`.
  std::string strategy() const { return detail::own(polygraft_report_strategy(get())); }
  /// The rule of the gate in words.
  std::string gate() const { return detail::own(polygraft_report_gate(get())); }

  /// All languages, sorted by tag; the shared adapter `mul` comes last.
  Result<std::vector<LanguageReport>> languages() const {
    return detail::list<polygraft_language_report>(
        polygraft_report_languages_count(get()),
        [&](std::size_t index, polygraft_language_report *entry, polygraft_error **error) {
          return polygraft_report_language(get(), index, entry, error);
        },
        [](const polygraft_language_report &entry) { return detail::own(entry); });
  }

  /// What users are served after the gate.
  Result<Summary> summary() const { return figures<Summary>(polygraft_report_summary); }

  /// What they would be served if the candidate were activated in every language.
  Result<Summary> candidate_summary() const {
    return figures<Summary>(polygraft_report_candidate_summary);
  }

  Result<Training> training() const { return figures<Training>(polygraft_report_training); }

 private:
  template <class Struct>
  Result<Struct> figures(polygraft_status (*fill)(const polygraft_report *, Struct *,
                                                  polygraft_error **)) const {
    return detail::entry<Struct>(
        [&](Struct *figures, polygraft_error **error) { return fill(get(), figures, error); },
        [](const Struct &figures) { return figures; });
  }
};

/// The reports of all updates of one task, the oldest first.
class Reports : public detail::Object<polygraft_reports, polygraft_reports_free> {
 public:
  using Object::Object;

  std::size_t size() const noexcept { return polygraft_reports_count(get()); }

  /// One report; `index` is less than `size()`. It keeps the list.
  Report operator[](std::size_t index) const {
    const polygraft_report *report = polygraft_reports_get(get(), index);
    return Report(std::shared_ptr<const polygraft_report>(shared(), report));
  }

  /// All of them as one HTML page with charts.
  std::string html() const { return detail::own(polygraft_reports_html(get())); }
};

POLYGRAFT_END

#endif  // POLYGRAFT_REPORT_HPP
