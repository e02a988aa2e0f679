/// A backbone with the adapters of a store: predict, generate, embed, begin updates.

#ifndef POLYGRAFT_MODEL_HPP
#define POLYGRAFT_MODEL_HPP

#include "engine.hpp"
#include "examples.hpp"
#include "exchange.hpp"
#include "input.hpp"
#include "prediction.hpp"
#include "store.hpp"
#include "update.hpp"

POLYGRAFT_BEGIN

/// An opened bundle with the adapters of a store. Many threads may predict with one model.
class Model : public detail::Handle<polygraft_model, polygraft_model_close> {
 public:
  using Handle::Handle;

  /// Opens the model in the bundle at a path. It keeps the engine and the store open.
  static Result<Model> open(const Engine &engine, Text bundle_path, const Store &store,
                            const ModelOptions &options = ModelOptions()) {
    const detail::RawModelOptions raw_options(options);
    return detail::make<Model>(
        [&](polygraft_model **model, polygraft_error **error) {
          return polygraft_model_open(engine.get(), bundle_path.c_str(), store.get(),
                                      raw_options.get(), model, error);
        },
        bundle_path, raw_options);
  }

  /// Predicts for one text, with the version that serves the language.
  Result<Prediction> predict(Text task, Text language, Text text) const {
    // Defaults need no struct to be filled for each prediction.
    return detail::make<Prediction>(
        [&](polygraft_prediction **prediction, polygraft_error **error) {
          return polygraft_model_predict(get(), task.c_str(), language.c_str(), text.c_str(),
                                         nullptr, prediction, error);
        },
        task, language, text);
  }

  Result<Prediction> predict(Text task, Text language, Text text,
                             const PredictOptions &options) const {
    const detail::RawPredictOptions raw_options(options);
    return detail::make<Prediction>(
        [&](polygraft_prediction **prediction, polygraft_error **error) {
          return polygraft_model_predict(get(), task.c_str(), language.c_str(), text.c_str(),
                                         raw_options.get(), prediction, error);
        },
        task, language, text, raw_options);
  }

  /// Predicts for a pair of texts, or for words.
  Result<Prediction> predict(Text task, Text language, const Input &input,
                             const PredictOptions &options = PredictOptions()) const {
    const detail::RawPredictOptions raw_options(options);
    return detail::make<Prediction>(
        [&](polygraft_prediction **prediction, polygraft_error **error) {
          return polygraft_model_predict_input(get(), task.c_str(), language.c_str(), input.get(),
                                               raw_options.get(), prediction, error);
        },
        task, language, raw_options);
  }

  /// Predicts for many texts, in less time than one by one.
  Result<std::vector<Prediction>> predict_batch(
      Text task, Text language, const Texts &texts,
      const PredictOptions &options = PredictOptions()) const {
    const detail::RawPredictOptions raw_options(options);
    return batch(
        [&](polygraft_predictions **predictions, polygraft_error **error) {
          return polygraft_model_predict_batch(get(), task.c_str(), language.c_str(), texts.data(),
                                               texts.size(), raw_options.get(), predictions,
                                               error);
        },
        task, language, texts, raw_options);
  }

  /// The same for pairs of texts and for words.
  Result<std::vector<Prediction>> predict_inputs(
      Text task, Text language, const std::vector<Input> &inputs,
      const PredictOptions &options = PredictOptions()) const {
    const detail::RawPredictOptions raw_options(options);
    const std::vector<const polygraft_input *> raw_inputs = raw(inputs);
    return batch(
        [&](polygraft_predictions **predictions, polygraft_error **error) {
          return polygraft_model_predict_inputs(get(), task.c_str(), language.c_str(),
                                                raw_inputs.data(), raw_inputs.size(),
                                                raw_options.get(), predictions, error);
        },
        task, language, raw_options);
  }

  /// Predicts for inputs in many languages: each in the language at its position, by the version
  /// that serves it.
  Result<std::vector<Prediction>> predict_many(
      Text task, const Texts &languages, const std::vector<Input> &inputs,
      const PredictOptions &options = PredictOptions()) const {
    if (languages.size() != inputs.size()) {
      return detail::failed<std::vector<Prediction>>(Error(
          POLYGRAFT_ERROR_ARGUMENT_INVALID,
          "expected as many languages as inputs, found " + std::to_string(languages.size()) +
              " languages and " + std::to_string(inputs.size()) + " inputs"));
    }
    const detail::RawPredictOptions raw_options(options);
    const std::vector<const polygraft_input *> raw_inputs = raw(inputs);
    return batch(
        [&](polygraft_predictions **predictions, polygraft_error **error) {
          return polygraft_model_predict_many(get(), task.c_str(), languages.data(),
                                              raw_inputs.data(), raw_inputs.size(),
                                              raw_options.get(), predictions, error);
        },
        task, languages, raw_options);
  }

  /// Generates a text, and calls `on_chunk(std::string_view)` with each new part of it, on this
  /// thread. It returns nothing, or Flow::stop to end the text there. The part is valid during the
  /// call.
  template <class Function>
  Result<Prediction> generate(Text task, Text language, Text text, Function &&on_chunk,
                              const PredictOptions &options = PredictOptions()) const {
    using Callback = detail::Callback<std::remove_reference_t<Function>>;
    Callback callback(on_chunk);
    const detail::RawPredictOptions raw_options(options);
    return detail::make<Prediction>(
        [&](polygraft_prediction **prediction, polygraft_error **error) {
          const polygraft_status status = polygraft_model_generate(
              get(), task.c_str(), language.c_str(), text.c_str(), raw_options.get(), prediction,
              error, Callback::on_chunk, &callback);
          if (callback.has_thrown()) {
            polygraft_prediction_free(prediction);
            polygraft_error_free(error);
            callback.throw_again();
          }
          return status;
        },
        task, language, text, raw_options);
  }

  /// Vectors of the bare backbone, of length 1 if `normalise` is true.
  Result<Vectors> embed(const Texts &texts, bool normalise = true) const {
    return detail::make<Vectors>(
        [&](polygraft_vectors **vectors, polygraft_error **error) {
          return polygraft_model_embed(get(), nullptr, nullptr, texts.data(), texts.size(),
                                       normalise ? 1 : 0, vectors, error);
        },
        texts);
  }

  /// Vectors of the version that serves a language in a task.
  Result<Vectors> embed(Text task, Text language, const Texts &texts, bool normalise = true) const {
    return detail::make<Vectors>(
        [&](polygraft_vectors **vectors, polygraft_error **error) {
          return polygraft_model_embed(get(), task.c_str(), language.c_str(), texts.data(),
                                       texts.size(), normalise ? 1 : 0, vectors, error);
        },
        task, language, texts);
  }

  /// Evaluates the versions that serve the languages of the examples. It changes nothing.
  Result<Scores> evaluate(Text task, const Examples &examples,
                          const Cancel *cancel = nullptr) const {
    return evaluate(std::move(task), examples, [](std::size_t, std::size_t) {}, cancel);
  }

  /// The same, and calls `on_step(step, steps_count)` meanwhile, on this thread. It returns nothing
  /// or a Flow.
  template <class Function, class = std::enable_if_t<
                                std::is_invocable_v<Function &, std::size_t, std::size_t>>>
  Result<Scores> evaluate(Text task, const Examples &examples, Function &&on_step,
                          const Cancel *cancel = nullptr) const {
    using Callback = detail::Callback<std::remove_reference_t<Function>>;
    Callback callback(on_step);
    return detail::make<Scores>(
        [&](polygraft_scores **scores, polygraft_error **error) {
          const polygraft_status status = polygraft_model_evaluate(
              get(), task.c_str(), examples.get(), cancel == nullptr ? nullptr : cancel->get(),
              scores, error, Callback::on_step, &callback);
          if (callback.has_thrown()) {
            polygraft_scores_free(scores);
            polygraft_error_free(error);
            callback.throw_again();
          }
          return status;
        },
        task);
  }

  /// Imports an adapter as a new version of a language, of `mul` for a base adapter. By default the
  /// gate decides whether it becomes active.
  Result<Imported> import_adapter(Text task, Text language, Text from_path,
                                  const ImportOptions &options = ImportOptions()) const {
    const detail::RawImportOptions raw_options(options);
    return detail::make<Imported>(
        [&](polygraft_imported **imported, polygraft_error **error) {
          return polygraft_model_import(get(), task.c_str(), language.c_str(), from_path.c_str(),
                                        raw_options.get(), imported, error);
        },
        task, language, from_path, raw_options);
  }

  /// Writes a version to a path where nothing is yet; version 0 is the active one.
  Result<void> export_adapter(Text task, Text language, std::uint32_t version, Text to_path,
                              const ExportOptions &options = ExportOptions()) const {
    const detail::RawExportOptions raw_options(options);
    return detail::check(
        [&](polygraft_error **error) {
          return polygraft_model_export(get(), task.c_str(), language.c_str(), version,
                                        to_path.c_str(), raw_options.get(), error);
        },
        task, language, to_path, raw_options);
  }

  /// Begins an update of a task. Predictions and the store do not change before its commit.
  Result<Update> begin_update(Text task, const UpdateOptions &options = UpdateOptions()) const {
    const detail::RawUpdateOptions raw_options(options);
    return detail::make<Update>(
        [&](polygraft_update **update, polygraft_error **error) {
          return polygraft_update_begin(get(), task.c_str(), raw_options.get(), update, error);
        },
        task, raw_options);
  }

 private:
  static std::vector<const polygraft_input *> raw(const std::vector<Input> &inputs) {
    std::vector<const polygraft_input *> raw_inputs;
    for (const Input &input : inputs) {
      raw_inputs.push_back(input.get());
    }
    return raw_inputs;
  }

  /// The predictions of a batch. Each keeps the whole batch.
  template <class Call, class... Arguments>
  static Result<std::vector<Prediction>> batch(Call call, const Arguments &...texts) {
    if (std::optional<Error> problem = detail::problem(texts...)) {
      return detail::failed<std::vector<Prediction>>(std::move(*problem));
    }
    polygraft_predictions *raw = nullptr;
    polygraft_error *error = nullptr;
    const polygraft_status status = call(&raw, &error);
    if (status != POLYGRAFT_OK) {
      return detail::failed<std::vector<Prediction>>(Error::take(status, error));
    }
    const std::shared_ptr<const polygraft_predictions> owner(
        raw, detail::End<polygraft_predictions, polygraft_predictions_free>());
    std::vector<Prediction> predictions;
    const std::size_t count = polygraft_predictions_count(raw);
    predictions.reserve(count);
    for (std::size_t index = 0; index < count; index++) {
      predictions.emplace_back(std::shared_ptr<const polygraft_prediction>(
          owner, polygraft_predictions_get(raw, index)));
    }
    return predictions;
  }
};

POLYGRAFT_END

#endif  // POLYGRAFT_MODEL_HPP
