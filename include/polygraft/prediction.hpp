/// What a model gives: labels, a number, tags, a text, or vectors.

#ifndef POLYGRAFT_PREDICTION_HPP
#define POLYGRAFT_PREDICTION_HPP

#include "call.hpp"

POLYGRAFT_BEGIN

/// A label and its probability.
struct Label {
  std::string label;
  float probability;
};

/// A word and its tag. Offsets count from the start of the input, in bytes and in code points.
struct Word {
  std::string tag;
  std::size_t byte_start;
  std::size_t byte_end;
  std::size_t char_start;
  std::size_t char_end;
  float probability;
};

/// Consecutive words that the tags mark as one thing. Offsets count as those of a word do.
struct Span {
  std::string kind;
  std::size_t word_first;
  /// The position of the last word, which belongs to the span.
  std::size_t word_last;
  std::size_t byte_start;
  std::size_t byte_end;
  std::size_t char_start;
  std::size_t char_end;
  float probability;
};

/// The output of a task for one input. What the kind of task does not have is empty.
class Prediction : public detail::Object<polygraft_prediction, polygraft_prediction_free> {
 public:
  using Object::Object;

  /// One of POLYGRAFT_TASK_*.
  std::uint32_t kind() const noexcept { return polygraft_prediction_kind(get()); }
  /// The language whose version was used: the one asked for, or what it fell back to.
  std::string language() const { return detail::own(polygraft_prediction_language(get())); }
  /// The number of the version that was used.
  std::uint32_t version() const noexcept { return polygraft_prediction_version(get()); }
  /// Whether the input was longer than the model reads.
  bool truncated() const noexcept { return polygraft_prediction_truncated(get()) != 0; }

  /// The most probable label.
  std::string label() const { return detail::own(polygraft_prediction_label(get(), 0)); }
  /// Its probability, from 0 to 1.
  float probability() const noexcept { return polygraft_prediction_probability(get(), 0); }

  /// The labels, the most probable one first: as many as `top_k` asked for.
  std::vector<Label> labels() const {
    std::vector<Label> labels;
    const std::size_t count = polygraft_prediction_labels_count(get());
    labels.reserve(count);
    for (std::size_t index = 0; index < count; index++) {
      labels.push_back({detail::own(polygraft_prediction_label(get(), index)),
                        polygraft_prediction_probability(get(), index)});
    }
    return labels;
  }

  /// The number of a regression; NaN for other kinds of tasks.
  double number() const noexcept { return polygraft_prediction_number(get()); }

  /// All words of the input, with their tags.
  std::vector<Word> words() const {
    std::vector<Word> words;
    const std::size_t count = polygraft_prediction_words_count(get());
    words.reserve(count);
    for (std::size_t index = 0; index < count; index++) {
      const polygraft_word word = polygraft_prediction_word(get(), index);
      words.push_back({detail::own(word.tag), word.byte_start, word.byte_end, word.char_start,
                       word.char_end, word.probability});
    }
    return words;
  }

  /// What the tags mark, in the order of the text.
  std::vector<Span> spans() const {
    std::vector<Span> spans;
    const std::size_t count = polygraft_prediction_spans_count(get());
    spans.reserve(count);
    for (std::size_t index = 0; index < count; index++) {
      const polygraft_span span = polygraft_prediction_span(get(), index);
      spans.push_back({detail::own(span.kind), span.word_first, span.word_last, span.byte_start,
                       span.byte_end, span.char_start, span.char_end, span.probability});
    }
    return spans;
  }

  /// The generated text.
  std::string text() const { return detail::own(polygraft_prediction_text(get())); }
  /// The sum of the log probabilities of its tokens; NaN for other kinds of tasks.
  float log_probability() const noexcept { return polygraft_prediction_log_probability(get()); }
  /// The number of its tokens.
  std::size_t tokens_count() const noexcept { return polygraft_prediction_tokens_count(get()); }
  /// Why it ended, one of POLYGRAFT_FINISH_*.
  std::uint32_t finish_reason() const noexcept {
    return polygraft_prediction_finish_reason(get());
  }
};

/// One vector for each text, all of one size, in row-major order.
class Vectors : public detail::Object<polygraft_vectors, polygraft_vectors_free> {
 public:
  using Object::Object;

  /// The number of vectors.
  std::size_t count() const noexcept { return polygraft_vectors_count(get()); }
  /// The number of values in each.
  std::size_t size() const noexcept { return polygraft_vectors_size(get()); }

  /// The values of one vector, `size()` of them; those of the next one follow. They are valid as
  /// long as this object or a copy of it. NULL for an `index` past the end.
  const float *operator[](std::size_t index) const noexcept {
    return polygraft_vectors_get(get(), index);
  }
};

POLYGRAFT_END

#endif  // POLYGRAFT_PREDICTION_HPP
