/// An update: add examples, run it, read the report, commit.

#ifndef POLYGRAFT_UPDATE_HPP
#define POLYGRAFT_UPDATE_HPP

#include "callback.hpp"
#include "engine.hpp"
#include "examples.hpp"
#include "input.hpp"
#include "report.hpp"

POLYGRAFT_BEGIN

/// A span of a text that an example marks.
struct TextSpan {
  std::string kind;
  std::size_t byte_start;
  std::size_t byte_end;
};

/// An update that is not committed yet. One thread may use it at a time. Destroying it aborts it.
class Update : public detail::Handle<polygraft_update, polygraft_update_close> {
 public:
  using Handle::Handle;

  /// Adds a text and its label.
  Result<void> add(Text language, Text text, Text label) {
    return detail::check(
        [&](polygraft_error **error) {
          return polygraft_update_add(get(), language.c_str(), text.c_str(), label.c_str(), error);
        },
        language, text, label);
  }

  /// Adds an input and its label.
  Result<void> add_label(Text language, const Input &input, Text label) {
    return detail::check(
        [&](polygraft_error **error) {
          return polygraft_update_add_label(get(), language.c_str(), input.get(), label.c_str(),
                                            error);
        },
        language, label);
  }

  /// Adds an input and all labels that apply to it.
  Result<void> add_labels(Text language, const Input &input, const Texts &labels) {
    return detail::check(
        [&](polygraft_error **error) {
          return polygraft_update_add_labels(get(), language.c_str(), input.get(), labels.data(),
                                             labels.size(), error);
        },
        language, labels);
  }

  /// Adds an input and a number.
  Result<void> add_number(Text language, const Input &input, double number) {
    return detail::check(
        [&](polygraft_error **error) {
          return polygraft_update_add_number(get(), language.c_str(), input.get(), number, error);
        },
        language);
  }

  /// Adds words and a tag for each of them.
  Result<void> add_tags(Text language, const Input &words, const Texts &tags) {
    return detail::check(
        [&](polygraft_error **error) {
          return polygraft_update_add_tags(get(), language.c_str(), words.get(), tags.data(),
                                           tags.size(), error);
        },
        language, tags);
  }

  /// Adds words, a label of the whole and a tag for each word.
  Result<void> add_label_and_tags(Text language, const Input &words, Text label,
                                  const Texts &tags) {
    return detail::check(
        [&](polygraft_error **error) {
          return polygraft_update_add_label_and_tags(get(), language.c_str(), words.get(),
                                                     label.c_str(), tags.data(), tags.size(),
                                                     error);
        },
        language, label, tags);
  }

  /// Adds a raw text and its spans, for token classification.
  Result<void> add_spans(Text language, Text text, const std::vector<TextSpan> &spans) {
    return add_marked(language, text, nullptr, spans);
  }

  /// Adds a raw text, its label and its spans, for joint intent and slots.
  Result<void> add_spans(Text language, Text text, Text label,
                         const std::vector<TextSpan> &spans) {
    return add_marked(language, text, &label, spans);
  }

  /// Adds an input and the text to generate for it.
  Result<void> add_text(Text language, const Input &input, Text target) {
    return detail::check(
        [&](polygraft_error **error) {
          return polygraft_update_add_text(get(), language.c_str(), input.get(), target.c_str(),
                                           error);
        },
        language, target);
  }

  /// Adds all examples of a list.
  Result<void> add_examples(const Examples &examples) {
    return detail::check([&](polygraft_error **error) {
      return polygraft_update_add_examples(get(), examples.get(), error);
    });
  }

  /// Trains, and measures every language before and after. Gives a report of what a commit would do.
  Result<Report> run(const Cancel *cancel = nullptr) {
    return run([](const Progress &) {}, cancel);
  }

  /// The same, and calls `on_progress(const Progress &)` meanwhile, on this thread. It returns
  /// nothing or a Flow. After an exception of its own nothing has changed, and the update can run
  /// again.
  template <class Function,
            class = std::enable_if_t<std::is_invocable_v<Function &, const Progress &>>>
  Result<Report> run(Function &&on_progress, const Cancel *cancel = nullptr) {
    return measured(polygraft_update_run, on_progress, cancel);
  }

  /// Lets the gate judge the last run again, with the gate's fields of `options`.
  Result<Report> judge(const UpdateOptions &options = UpdateOptions()) {
    const detail::RawUpdateOptions raw_options(options);
    return detail::make<Report>(
        [&](polygraft_report **report, polygraft_error **error) {
          return polygraft_update_judge(get(), raw_options.get(), report, error);
        },
        raw_options);
  }

  /// Measures the candidates again, against the versions that are active now: what to do when a
  /// commit fails with POLYGRAFT_ERROR_STORE_CHANGED.
  Result<Report> measure_again(const Cancel *cancel = nullptr) {
    return measure_again([](const Progress &) {}, cancel);
  }

  /// The same with progress, as `run` has it.
  template <class Function,
            class = std::enable_if_t<std::is_invocable_v<Function &, const Progress &>>>
  Result<Report> measure_again(Function &&on_progress, const Cancel *cancel = nullptr) {
    return measured(polygraft_update_measure_again, on_progress, cancel);
  }

  /// Publishes what the gate accepted and activates it, for all languages in one step. The report
  /// has the numbers of the new versions. Afterwards the update is empty and can be used again.
  Result<Report> commit() {
    return detail::make<Report>([&](polygraft_report **report, polygraft_error **error) {
      return polygraft_update_commit(get(), report, error);
    });
  }

 private:
  Result<void> add_marked(const Text &language, const Text &text, const Text *label,
                          const std::vector<TextSpan> &spans) {
    std::vector<Text> kinds;
    std::vector<polygraft_text_span> raw_spans;
    kinds.reserve(spans.size());
    for (const TextSpan &span : spans) {
      kinds.emplace_back(span.kind);
      raw_spans.push_back({kinds.back().c_str(), span.byte_start, span.byte_end});
    }
    const Texts texts(kinds);
    const Text none("");
    return detail::check(
        [&](polygraft_error **error) {
          return polygraft_update_add_spans(get(), language.c_str(), text.c_str(),
                                            label == nullptr ? nullptr : label->c_str(),
                                            raw_spans.data(), raw_spans.size(), error);
        },
        language, text, label == nullptr ? none : *label, texts);
  }

  template <class Call, class Function>
  Result<Report> measured(Call call, Function &on_progress, const Cancel *cancel) {
    using Callback = detail::Callback<Function>;
    Callback callback(on_progress);
    return detail::make<Report>([&](polygraft_report **report, polygraft_error **error) {
      const polygraft_status status =
          call(get(), cancel == nullptr ? nullptr : cancel->get(), report, error,
               Callback::on_progress, &callback);
      if (callback.has_thrown()) {
        polygraft_report_free(report);
        polygraft_error_free(error);
        callback.throw_again();
      }
      return status;
    });
  }
};

POLYGRAFT_END

#endif  // POLYGRAFT_UPDATE_HPP
