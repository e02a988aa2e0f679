// What a device does beside predicting and updating: versions from files, measuring, counting,
// checking, removing and wiping.
#include "check.hpp"

#include <fstream>
#include <thread>

namespace {

using polygraft::Examples;
using polygraft::Flow;
using polygraft::Model;
using polygraft::Store;

// What a callback of the program throws; polygraft knows nothing of it.
struct OwnFailure {};

void check_exchange(const Model &model, const Store &store, const std::string &scratch) {
  const std::string file = scratch + "/de.safetensors";
  model.export_adapter("intent", "de", 1, file);
  CHECK_ERROR("argument.invalid", model.export_adapter("intent", "de", 1, file));
  polygraft::ExportOptions folder;
  folder.format = POLYGRAFT_FORMAT_PEFT;
  folder.encoder = "bert";
  model.export_adapter("intent", "de", 0, scratch + "/peft", folder);

  polygraft::ImportOptions never;
  never.activation = POLYGRAFT_ACTIVATION_NEVER;
  const auto copy = model.import_adapter("imported", "mul", file, never);
  CHECK(copy.version() == 1 && !copy.activated() && copy.format() == POLYGRAFT_FORMAT_OWN);
  CHECK_ERROR("argument.invalid", copy.decision());
  CHECK(copy.notes().empty());
  store.activate("imported", "mul", 1);
  // A base adapter serves a language that has nothing yet, as it was.
  store.activate("intent", "de", 1);
  CHECK(model.predict("imported", "sw", "w14").probability() ==
        model.predict("intent", "de", "w14").probability());
  const auto gated = model.import_adapter("gated", "mul", file);
  CHECK(gated.activated() && gated.decision().is_activated());
  CHECK_TEXT(gated.decision().language, "mul");
  never.encoder = std::string("a\0b", 3);
  CHECK_ERROR("argument.invalid", model.import_adapter("imported", "de", file, never));

  polygraft::combine_adapters({file, file}, {0.5, 0.5}, scratch + "/sum.safetensors");
  polygraft::combine_adapters({file}, {}, scratch + "/same.safetensors");
  CHECK(model.import_adapter("sum", "mul", scratch + "/sum.safetensors").version() == 1);
  CHECK_ERROR("argument.invalid", polygraft::combine_adapters({file}, {1, 2}, scratch + "/no"));
  CHECK_ERROR("io.not_found", polygraft::stack_adapters(file, scratch + "/none", scratch + "/no"));
}

void check_examples(const Model &model, const std::string &scratch) {
  const char *lines = "{\"lang\": \"de\", \"text\": \"w14 w66\", \"label\": \"on\"}\n"
                      "{\"lang\": \"en\", \"text\": \"w21 w45\", \"label\": \"off\"}\n";
  const auto parsed = Examples::parse(lines);
  std::ofstream(scratch + "/examples.jsonl") << lines;
  CHECK(parsed.size() == 2 && Examples::read(scratch + "/examples.jsonl").size() == 2);
  CHECK_ERROR("examples.malformed", Examples::parse("{}"));
  const auto made = Examples::labelled({"de", "de"}, {"w14", "w21"}, {"on", "off"});
  CHECK(made.size() == 2);
  CHECK_ERROR("argument.invalid", Examples::labelled({"de"}, {"w14", "w21"}, {"on", "off"}));

  std::size_t last = 0;
  const auto scores =
      model.evaluate("intent", parsed, [&](std::size_t step, std::size_t) { last = step; });
  CHECK(last == 2);
  const auto languages = scores.languages();
  CHECK(languages.size() == 2 && languages[1].language == "en" && languages[1].served_by == "en");
  CHECK(languages[0].examples_count == 1 && languages[0].version > 0);
  CHECK(!languages[0].metrics.empty() && languages[0].metrics[0].name == "accuracy");
  const auto mean = scores.mean();
  CHECK(mean.score == (languages[0].score + languages[1].score) / 2 && !mean.metrics.empty());
  CHECK_ERROR("cancelled", model.evaluate("intent", parsed,
                                          [](std::size_t, std::size_t) { return Flow::stop; }));
  const auto cancel = polygraft::Cancel::open();
  cancel.trigger();
  CHECK_ERROR("cancelled", model.evaluate("intent", parsed, &cancel));
  try {
    static_cast<void>(
        model.evaluate("intent", parsed, [](std::size_t, std::size_t) { throw OwnFailure{}; }));
    CHECK(false);
  } catch (const OwnFailure &) {
  }

  auto update = model.begin_update("light");
  update.add_examples(made);
  CHECK_ERROR("task.kind", update.add_number("de", polygraft::Input::text("w14"), 1));
}

void check_contents(const Store &store, const char *bundle, const char *store_path) {
  const auto chain = store.explain("intent", "de-CH");
  CHECK(chain.size() >= 2 && chain[0].language == "de-CH" && !chain[0].serves);
  CHECK(chain[1].serves && chain[1].kind == POLYGRAFT_STEP_SHORTER_TAG && chain[1].version > 0);
  CHECK_ERROR("language.unknown", store.explain("intent", "German"));

  const auto counted = store.count();
  CHECK(counted.store().versions_count == store.versions().size());
  const auto tasks = counted.tasks();
  CHECK(tasks.size() == counted.store().tasks_count && !tasks.empty());
  for (std::size_t index = 0; index < tasks.size(); index++) {
    const auto examples = counted.examples(index);
    CHECK(examples.size() == tasks[index].examples_languages_count);
    if (tasks[index].task == "intent") {
      CHECK(tasks[index].versions_count == 6 && tasks[index].reports_count == 2);
      CHECK(examples[0].language == "de" && examples[0].training_count > 0);
    }
  }
  CHECK_ERROR("argument.invalid", counted.examples(99));

  CHECK(store.verify().all_right());
  polygraft::verify_bundle(bundle);
  CHECK_ERROR("io.not_found", polygraft::verify_bundle("no/such/bundle"));
  polygraft::DiagnoseOptions options;
  options.bundle_path = bundle;
  options.store_path = store_path;
  const auto checks = polygraft::diagnose(options);
  for (const polygraft::Check &check : checks.list()) {
    if (check.state == POLYGRAFT_CHECK_WRONG) {
      std::printf("%s: %s\n", check.subject.c_str(), check.details.c_str());
    }
    CHECK(!check.subject.empty() && check.status == POLYGRAFT_OK);
  }
  CHECK(checks.all_right() && checks.list().size() > 2);
}

void check_wipes(const Store &store) {
  polygraft::WipeOptions options;
  options.language = "de";
  options.label = "on";
  const auto wiped = store.wipe("intent", options);
  CHECK(wiped.languages().size() == 1 && wiped.languages()[0].language == "de");
  CHECK(wiped.languages()[0].examples_count > 0);
  CHECK(!wiped.versions().empty() && !wiped.retired());

  const auto removed = store.remove_versions("grade", 0);
  CHECK(!removed.empty() && removed[0].task == "grade" && !removed[0].active);
  CHECK(store.remove_versions("grade", "de", 0).empty());
  polygraft::WipeOptions all;
  all.retire = 1;
  CHECK(store.wipe("moods", all).retired() && store.versions("moods").empty());
}

// A device answers a message of its own, and the gate decides about the average.
void check_rounds(const Model &model, const Store &store) {
  using polygraft::Bytes;
  using polygraft::Round;
  const auto message = Round::ask(model, "intent",
                                  "{\"languages\": [\"de\"], \"training\": {\"steps_max\": 2}}");
  const auto new_ones = Examples::labelled(
      {"de", "de", "de", "de"}, {"w14", "w21", "w33", "w47"}, {"on", "off", "on", "off"});
  const Bytes asked = message.bytes();
  const auto reply = Round::reply(model, asked, &new_ones);
  CHECK(reply.bytes() == Round::read(reply.bytes()).bytes());
  const auto average = Round::average(store, asked, {reply.bytes(), Bytes(), Bytes(9, 1)});
  CHECK(average.json().find("round.malformed") != std::string::npos);
  const auto applied = Round::apply(model, average.bytes(), "{\"activation\": \"never\"}");
  CHECK(applied.bytes().empty() && applied.json().find("\"de\"") != std::string::npos);
  CHECK_ERROR("argument.invalid", Round::ask(model, "intent", "{\"languages\": 5}"));
  CHECK_ERROR("round.malformed", Round::apply(model, asked));
  const auto cancel = polygraft::Cancel::open();
  cancel.trigger();
  CHECK_ERROR("cancelled", Round::reply(model, asked, nullptr, "{}", &cancel));
}

// The callback receives the log until the engine is closed, and what it throws is dropped.
void check_log(const char *bundle, const char *store_path) {
  unsigned count = 0;
  {
    polygraft::EngineOptions options;
    options.log_severity = POLYGRAFT_LOG_VERBOSE;
    options.log = [&](std::uint32_t, std::string_view source, std::string_view message) {
      CHECK(!source.empty() && !message.empty());
      count++;
      throw OwnFailure{};
    };
    auto engine = polygraft::Engine::open(options);
    auto moved = std::move(engine);
    static_cast<void>(Model::open(moved, bundle, Store::open(store_path)));
    CHECK(count > 0);
    moved = polygraft::Engine::open();
  }
  const unsigned heard = count;
  static_cast<void>(Model::open(polygraft::Engine::open(), bundle, Store::open(store_path)));
  CHECK(count == heard);
}

}  // namespace

void check_device(const Model &model, const Store &store, const char *bundle,
                  const char *store_path, const char *scratch) {
  check_log(bundle, store_path);
  check_exchange(model, store, scratch);
  check_examples(model, scratch);
  check_contents(store, bundle, store_path);
  check_rounds(model, store);
  check_wipes(store);
}
