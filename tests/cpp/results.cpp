// polygraft.hpp without exceptions, compiled with -fno-exceptions: every call that can fail returns
// a Result. The rest of the program is compiled with exceptions.
#include "check.hpp"

#ifndef POLYGRAFT_NO_EXCEPTIONS
#error "the header has not noticed that there are no exceptions"
#endif

namespace {

// As a program writes it: look, then use.
polygraft::Result<std::string> label(const polygraft::Model &model, const char *task) {
  auto prediction = model.predict(task, "de", "w14 w66 w42");
  if (!prediction) {
    return prediction.error();
  }
  return prediction->label();
}

}  // namespace

void check_results(const char *bundle, const char *store_path) {
  auto engine = polygraft::Engine::open();
  auto store = polygraft::Store::open(store_path);
  CHECK(engine && store);
  auto model = polygraft::Model::open(*engine, bundle, *store);
  CHECK(model.has_value());

  const auto good = label(*model, "intent");
  CHECK(good && !good->empty() && *good == good.value());
  const auto bad = label(*model, "nothing");
  CHECK(!bad && bad.error().status() == POLYGRAFT_ERROR_STORE_NO_VERSION);
  CHECK_TEXT(bad.error().name(), "store.no_version");

  auto update = model->begin_update("results");
  CHECK(update->add("de", "w10", "on") && update->add("de", "w20", "off"));
  const auto refused = update->add("not a language", "w10", "on");
  CHECK(!refused && refused.error().name() == "language.malformed");
  const auto stopped =
      update->run([](const polygraft::Progress &) { return polygraft::Flow::stop; });
  CHECK(!stopped && stopped.error().status() == POLYGRAFT_ERROR_CANCELLED);

  const auto versions = store->versions("intent");
  CHECK(versions && versions->size() == 6);
  CHECK(store->unpin("intent", "de"));
  CHECK(!store->activate("intent", {"de"}, std::vector<std::uint32_t>{1, 2}));
  std::string text = std::move(*label(*model, "intent"));
  CHECK_TEXT(text, *good);
}
