// Every class and every call of polygraft.hpp, on small bundles and stores.
//
//   interface ENCODER ENCODER_STORE DECODER DECODER_STORE EMPTY SCRATCH
//
// The stores are copies that may be changed; EMPTY and SCRATCH are empty folders. It prints what failed, and
// ends with 0 only if nothing did.
#include "check.hpp"

#include <cmath>
#include <deque>
#include <thread>

namespace {

using polygraft::Flow;
using polygraft::Input;
using polygraft::Model;
using polygraft::Prediction;
using polygraft::PredictOptions;
using polygraft::Progress;
using polygraft::Store;
using polygraft::Update;
using polygraft::UpdateOptions;

// What a callback of the program throws; polygraft knows nothing of it.
struct OwnFailure {
  int number;
};

void check_library() {
  CHECK(polygraft::abi_version() == POLYGRAFT_ABI_VERSION);
  CHECK_TEXT(polygraft::version_string(), POLYGRAFT_VERSION_STRING);
  CHECK(polygraft::build_info().find(POLYGRAFT_VERSION_STRING) != std::string::npos);
  CHECK_TEXT(polygraft::status_name(POLYGRAFT_ERROR_STORE_PINNED), "store.pinned");
}

void check_errors(const Model &model) {
  try {
    static_cast<void>(model.predict("nothing", "de", "w10"));
    CHECK(false);
  } catch (const std::exception &caught) {
    const auto &error = dynamic_cast<const polygraft::Error &>(caught);
    CHECK(error.status() == POLYGRAFT_ERROR_STORE_NO_VERSION);
    CHECK(!error.causes().empty() && error.message().find("nothing") != std::string::npos);
    const polygraft::Error copy = error;
    CHECK_TEXT(copy.what(), "store.no_version: " + error.message());
  }
  using namespace std::string_view_literals;
  CHECK_ERROR("argument.invalid", model.predict("intent", "de", "w10\0w11"sv));
  CHECK_ERROR("argument.invalid", model.predict_batch("intent", "de", {"w10"sv, "w\0"sv}));
  CHECK_ERROR("argument.utf8", model.predict("intent", "de", "\xff"));
  CHECK_ERROR("argument.null", Store::open(static_cast<const char *>(nullptr)));
}

// Before any engine is open, because a process has one library of ONNX Runtime.
void check_missing_runtime() {
  polygraft::EngineOptions options;
  options.onnxruntime_path = "/missing/libonnxruntime.so";
  CHECK_ERROR("runtime.not_found", polygraft::Engine::open(options));
  options.onnxruntime_path = std::string("a\0b", 3);
  CHECK_ERROR("argument.invalid", polygraft::Engine::open(options));
}

void check_store(const Store &store) {
  const auto all = store.versions();
  const auto versions = store.versions("intent");
  CHECK(all.size() > versions.size() && versions.size() == 6);
  CHECK_TEXT(versions[0].task, "intent");
  CHECK_TEXT(versions[0].language, "de");
  CHECK(versions[0].number == 1 && versions[0].hash.size() == 64 && versions[0].size_bytes > 0);
  CHECK(versions[1].parent == 1 && versions[1].created_unix_ms > 0);

  store.activate("intent", "de", 1);
  CHECK(store.versions("intent")[0].active);
  store.activate("intent", {"de", "en"}, {2, 1});
  CHECK(store.roll_back("intent", "de") == 1);
  CHECK(store.pin("intent", "de") == 1 && store.versions("intent")[0].pinned);
  CHECK_ERROR("store.pinned", store.roll_back("intent", "de"));
  store.unpin("intent", "de");
  store.activate("intent", std::deque<std::string>{"de", "en"}, {2, 2});
  CHECK_ERROR("argument.invalid", store.activate("intent", {"de", "en"}, {1}));
  CHECK_ERROR("store.no_version", store.activate("intent", "de", 9));
  store.discard_checkpoint("intent");
}

void check_reports(const Store &store) {
  std::optional<polygraft::Report> last;
  {
    const auto reports = store.reports("intent");
    CHECK(reports.size() == 2 && reports.html().find("<html") != std::string::npos);
    last = reports[1];
    CHECK(reports[9].languages().empty());
  }
  // The report outlives the list that it came from.
  CHECK_TEXT(last->task(), "intent");
  CHECK(!last->strategy().empty() && !last->gate().empty());
  const auto languages = last->languages();
  CHECK(languages.size() == 3 && languages[0].language == "de" && languages[2].language == "mul");
  CHECK(languages[0].updated && !languages[0].reason.empty());
  CHECK(last->training().steps > 0 && last->training().training_runs > 0);
  CHECK(last->summary().improved + last->summary().lost <= 2);
  CHECK(last->candidate_summary().improved + last->candidate_summary().lost <= 2);
}

void check_labels(const Model &model) {
  const std::string text = "w14 w66 w42";
  const Prediction prediction = model.predict("intent", "de", text);
  CHECK(prediction.kind() == POLYGRAFT_TASK_CLASSIFICATION && prediction.version() == 2);
  CHECK_TEXT(prediction.language(), "de");
  CHECK(!prediction.truncated() && std::isnan(prediction.number()));
  const auto labels = prediction.labels();
  CHECK(labels.size() == 2 && labels[0].label == prediction.label());
  CHECK(labels[0].probability == prediction.probability() && labels[1].probability < 0.5f);

  PredictOptions options;
  options.top_k = 1;
  CHECK(model.predict("intent", "de", text, options).labels().size() == 1);
  // A prediction of a batch outlives the batch.
  const Prediction second = model.predict_batch("intent", "de", {"w21 w45", text}).back();
  CHECK(std::fabs(second.probability() - prediction.probability()) < 1e-5f);
  const Prediction copy = second;
  CHECK_TEXT(copy.label(), prediction.label());
  CHECK(model.predict_batch("intent", "de", std::vector<std::string>{}).empty());

  const Input input = Input::text(text);
  CHECK(model.predict("intent", "de", input).probability() == prediction.probability());
  std::vector<Input> inputs;
  inputs.push_back(Input::text("w21 w45"));
  inputs.push_back(Input::pair("w14", "w66"));
  CHECK(model.predict_inputs("intent", "de", inputs).size() == 2);
  const std::vector<Prediction> many = model.predict_many("intent", {"de", "en"}, inputs);
  CHECK(many.size() == 2 && many[1].version() == model.predict("intent", "en", text).version());
  CHECK_ERROR("argument.invalid", model.predict_many("intent", {"de"}, inputs));
  CHECK(!std::isnan(model.predict("grade", "de", text).number()));
  CHECK(model.predict("moods", "de", text).kind() == POLYGRAFT_TASK_MULTI_LABEL);
}

void check_tags(const Model &model) {
  const Prediction prediction = model.predict("slots", "de", Input::words({"w19", "w55", "w64"}));
  const auto words = prediction.words();
  CHECK(words.size() == 3 && words[1].byte_start == 4 && words[1].char_end == 7);
  CHECK(!words[0].tag.empty() && words[0].probability > 0);
  for (const polygraft::Span &span : prediction.spans()) {
    CHECK_TEXT(span.kind, "area");
    CHECK(span.word_first <= span.word_last && span.byte_start < span.byte_end);
  }
  CHECK(!prediction.spans().empty() && !prediction.label().empty());
}

void check_vectors(const Model &model) {
  const auto vectors = model.embed({"w14 w66", "w21"});
  CHECK(vectors.count() == 2 && vectors.size() > 0 && vectors[2] == nullptr);
  CHECK(vectors[1] == vectors[0] + vectors.size());
  double length = 0;
  for (std::size_t index = 0; index < vectors.size(); index++) {
    length += static_cast<double>(vectors[0][index]) * static_cast<double>(vectors[0][index]);
  }
  CHECK(std::fabs(length - 1) < 1e-4);
  const auto own = model.embed("intent", "de", std::vector<std::string_view>{"w14 w66"}, false);
  CHECK(own.count() == 1 && own.size() == vectors.size());
}

UpdateOptions quick() {
  UpdateOptions options;
  options.gate_enabled = 0;
  options.steps_max = 4;
  return options;
}

Update begin(const Model &model, const char *task) {
  Update update = model.begin_update(task, quick());
  for (int index = 0; index < 8; index++) {
    update.add("de", "w" + std::to_string(10 + index), index % 2 == 0 ? "on" : "off");
  }
  return update;
}

void check_callbacks(const Model &model) {
  Update update = begin(model, "callbacks");
  // What a callback throws is rethrown unchanged, and the update has changed nothing.
  try {
    static_cast<void>(update.run([](const Progress &) { throw OwnFailure{7}; }));
    CHECK(false);
  } catch (const OwnFailure &failure) {
    CHECK(failure.number == 7);
  }
  CHECK_ERROR("cancelled", update.run([](const Progress &) { return Flow::stop; }));
  const auto cancel = polygraft::Cancel::open();
  const auto trigger = [&](const Progress &) { cancel.trigger(); };
  CHECK_ERROR("cancelled", update.run(trigger, &cancel));
  CHECK_ERROR("cancelled", update.run(&cancel));
  CHECK_ERROR("update.state", update.commit());

  double fraction = 0;
  const auto report = update.run([&](const Progress &progress) {
    CHECK(progress.fraction >= fraction);
    fraction = progress.fraction;
    return Flow::go_on;
  });
  CHECK(fraction == 1 && report.languages()[0].version == 0);
}

void check_update(const Model &model, const Store &store) {
  Update update = begin(model, "light");
  static_cast<void>(update.run());
  CHECK(update.judge(quick()).languages()[0].is_activated());
  CHECK(update.commit().languages()[0].version == 1);

  // What serves changes between run and commit.
  update = begin(model, "light");
  static_cast<void>(update.run());
  store.pin("light", "de");
  CHECK_ERROR("store.changed", update.commit());
  store.unpin("light", "de");
  unsigned calls = 0;
  static_cast<void>(update.measure_again([&](const Progress &) { calls++; }));
  CHECK(calls > 0);
  static_cast<void>(update.measure_again());
  CHECK(update.commit().languages()[0].version == 2);
  CHECK_ERROR("update.no_examples", update.run());
  CHECK(model.predict("light", "de", "w10").version() == 2);

  UpdateOptions options = quick();
  options.lora_targets = {"no such module"};
  Update nowhere = model.begin_update("nowhere", options);
  nowhere.add("de", "w10", "on");
  nowhere.add("de", "w20", "off");
  CHECK_ERROR("adapter.no_site", nowhere.run());
}

// Examples of each kind of target; those of the wrong kind are refused by name.
void check_examples(const Model &model) {
  const Input text = Input::text("w10 w11");
  const Input words = Input::words({"w10", "w11"});
  Update labels = model.begin_update("a", quick());
  labels.add_label("de", text, "on");
  CHECK_ERROR("task.kind", labels.add_labels("de", text, {"on", "off"}));
  Update many = model.begin_update("b", quick());
  many.add_labels("de", text, std::vector<std::string>{});
  CHECK_ERROR("task.kind", many.add_number("de", text, 1.5));
  Update tags = model.begin_update("c", quick());
  tags.add_tags("de", words, {"B-area", "I-area"});
  tags.add_spans("de", "w10 w11", {{"area", 0, 3}, {"area", 4, 7}});
  CHECK_ERROR("argument.invalid", tags.add_spans("de", "w10", {{"area", 2, 2}}));
  CHECK_ERROR("task.kind", tags.add_label_and_tags("de", words, "on", {"O", "O"}));
  Update both = model.begin_update("d", quick());
  both.add_label_and_tags("de", words, "on", {"O", "O"});
  both.add_spans("de", "w10 w11", "on", {{"area", 0, 3}});
  CHECK_ERROR("task.kind", both.add_text("de", text, "w12"));
}

void check_generation(const Model &model) {
  const char *text = "w14";
  std::string chunks;
  PredictOptions options;
  options.max_new_tokens = 12;
  const Prediction whole = model.generate(
      "lemma", "de", text, [&](std::string_view chunk) { chunks += chunk; }, options);
  CHECK_TEXT(chunks, whole.text());
  CHECK(whole.kind() == POLYGRAFT_TASK_SEQUENCE_TO_SEQUENCE && whole.tokens_count() > 0);
  CHECK(whole.log_probability() < 0 && whole.finish_reason() != POLYGRAFT_FINISH_NONE);
  CHECK_TEXT(model.predict("lemma", "de", text, options).text(), whole.text());

  CHECK(!whole.text().empty());
  options.stop_strings = {whole.text().substr(0, 1)};
  const Prediction cut = model.predict("lemma", "de", text, options);
  CHECK(cut.text().empty() && cut.finish_reason() == POLYGRAFT_FINISH_STOPPED);
  options.stop_strings.clear();
  const Prediction stopped = model.generate(
      "lemma", "de", text, [](std::string_view) { return Flow::stop; }, options);
  CHECK(stopped.finish_reason() == POLYGRAFT_FINISH_STOPPED);
  try {
    static_cast<void>(
        model.generate("lemma", "de", text, [](std::string_view) { throw OwnFailure{8}; }));
    CHECK(false);
  } catch (const OwnFailure &failure) {
    CHECK(failure.number == 8);
  }
  const auto cancel = polygraft::Cancel::open();
  cancel.trigger();
  options.cancel = cancel.get();
  CHECK(model.predict("lemma", "de", text, options).finish_reason() == POLYGRAFT_FINISH_CANCELLED);
}

// Handles move, close once, and can be given to the C interface and taken back.
void check_owners(const polygraft::Engine &engine, const char *bundle, const char *scratch) {
  Store store = Store::open(scratch);
  Store moved = std::move(store);
  CHECK(store.get() == nullptr && moved.get() != nullptr);
  polygraft_store *raw = moved.release();
  CHECK_ERROR("argument.null", moved.versions());
  Store again(raw);
  CHECK(again.versions().empty());

  polygraft::ModelOptions options;
  options.mode = POLYGRAFT_MODE_FAST;
  options.targets = {"query"};
  Model model = Model::open(engine, bundle, again, options);
  again.close();
  CHECK_ERROR("argument.null", again.versions());
  // The model keeps the store open.
  CHECK(model.embed({"w10"}).count() == 1);
  Update update = model.begin_update("light", quick());
  model.close();
  update.add("de", "w10", "on");
  CHECK_ERROR("argument.null", model.predict("light", "de", "w10"));
}

void check_threads(const Model &model) {
  const std::string label = model.predict("intent", "de", "w14 w66 w42").label();
  std::vector<std::thread> threads;
  std::vector<std::string> labels(4);
  for (std::string &one : labels) {
    threads.emplace_back([&] { one = model.predict("intent", "de", "w14 w66 w42").label(); });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  for (const std::string &one : labels) {
    CHECK_TEXT(one, label);
  }
}

}  // namespace

int main(int argc, char **argv) try {
  if (argc != 7) {
    return 2;
  }
  check_library();
  check_missing_runtime();
  const auto engine = polygraft::Engine::open();
  CHECK(engine.onnxruntime_version().find('.') != std::string::npos);
  const auto store = Store::open(argv[2]);
  const auto model = Model::open(engine, argv[1], store);
  check_errors(model);
  check_store(store);
  check_reports(store);
  check_labels(model);
  check_tags(model);
  check_vectors(model);
  check_callbacks(model);
  check_update(model, store);
  check_examples(model);
  check_threads(model);
  check_owners(engine, argv[1], argv[5]);
  const auto decoder_store = Store::open(argv[4]);
  check_generation(Model::open(engine, argv[3], decoder_store));
  check_results(argv[1], argv[2]);
  check_device(model, store, argv[1], argv[2], argv[6]);
  std::printf("%u failures\n", failures);
  return failures == 0 ? 0 : 1;
} catch (const std::exception &error) {
  std::printf("%s\n", error.what());
  return 1;
}
