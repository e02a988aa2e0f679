/// Labelled examples, and how well versions do on them.

#ifndef POLYGRAFT_EXAMPLES_HPP
#define POLYGRAFT_EXAMPLES_HPP

#include "callback.hpp"

POLYGRAFT_BEGIN

/// Labelled examples of one kind of task, in one or several languages.
class Examples : public detail::Object<polygraft_examples, polygraft_examples_free> {
 public:
  using Object::Object;

  /// Reads a file in JSON Lines; docs/tasks.md has the fields.
  static Result<Examples> read(Text path) {
    return detail::make<Examples>(
        [&](polygraft_examples **examples, polygraft_error **error) {
          return polygraft_examples_read(path.c_str(), examples, error);
        },
        path);
  }

  /// Reads a text in JSON Lines.
  static Result<Examples> parse(Text json_lines) {
    return detail::make<Examples>(
        [&](polygraft_examples **examples, polygraft_error **error) {
          return polygraft_examples_parse(json_lines.c_str(), examples, error);
        },
        json_lines);
  }

  /// Makes examples of texts and one label each: a language, a text and a label for every example.
  static Result<Examples> labelled(const Texts &languages, const Texts &texts,
                                   const Texts &labels) {
    if (languages.size() != texts.size() || labels.size() != texts.size()) {
      return detail::failed<Examples>(
          Error(POLYGRAFT_ERROR_ARGUMENT_INVALID,
                "expected a language and a label for each text, found " +
                    std::to_string(languages.size()) + " and " + std::to_string(labels.size()) +
                    " for " + std::to_string(texts.size()) + " texts"));
    }
    return detail::make<Examples>(
        [&](polygraft_examples **examples, polygraft_error **error) {
          return polygraft_examples_labelled(languages.data(), texts.data(), labels.data(),
                                             texts.size(), examples, error);
        },
        languages, texts, labels);
  }

  std::size_t size() const noexcept { return polygraft_examples_count(get()); }
};

/// A metric, such as `accuracy`.
struct Metric {
  std::string name;
  double value;
};

/// How well the version that serves a language does on the examples in it.
struct Score {
  /// The language of the examples, and the one whose version served; empty in a mean.
  std::string language;
  std::string served_by;
  std::uint32_t version;
  std::uint64_t examples_count;
  /// The mean score of the examples, from 0 to 1: what the gate of an update compares.
  double score;
  /// The most informative first.
  std::vector<Metric> metrics;
};

/// The scores of an evaluation, by language.
class Scores : public detail::Object<polygraft_scores, polygraft_scores_free> {
 public:
  using Object::Object;

  /// All languages, sorted by tag.
  Result<std::vector<Score>> languages() const {
    std::size_t current = 0;
    return detail::list<polygraft_score>(
        polygraft_scores_count(get()),
        [&](std::size_t index, polygraft_score *score, polygraft_error **error) {
          current = index;
          return polygraft_scores_get(get(), index, score, error);
        },
        [&](const polygraft_score &score) {
          return own(score, [&](std::size_t metric) {
            return polygraft_scores_metric(get(), current, metric);
          });
        });
  }

  /// The mean over the languages, which count the same however many examples they have.
  Result<Score> mean() const {
    return detail::entry<polygraft_score>(
        [&](polygraft_score *score, polygraft_error **error) {
          return polygraft_scores_mean(get(), score, error);
        },
        [&](const polygraft_score &score) {
          return own(score, [&](std::size_t metric) {
            return polygraft_scores_mean_metric(get(), metric);
          });
        });
  }

 private:
  template <class Metrics>
  static Score own(const polygraft_score &raw, Metrics metrics) {
    Score score{detail::own(raw.language), detail::own(raw.served_by), raw.version,
                raw.examples_count,        raw.score,                  {}};
    for (std::size_t index = 0; index < raw.metrics_count; index++) {
      const polygraft_metric metric = metrics(index);
      score.metrics.push_back({detail::own(metric.name), metric.value});
    }
    return score;
  }
};

POLYGRAFT_END

#endif  // POLYGRAFT_EXAMPLES_HPP
