// Looks after a device that was shipped: installs a base adapter, goes back to an earlier version of
// a language, and wipes the examples that it remembers of that language.
//
// usage: ship BUNDLE STORE TASK LANGUAGE ADAPTER
//
// ADAPTER is a file of polygraft or ONNX Runtime, or a folder of PEFT or AdapterHub. A program that
// predicts with the same store, in this process or another, uses what is active at its next
// prediction.
#include <polygraft.hpp>

#include <iostream>

namespace {

void print(const polygraft::Store &store, const char *task) {
  for (const polygraft::Version &version : store.versions(task)) {
    std::cout << "  " << version.language << " " << version.number << ", "
              << version.size_bytes / 1000 << " kB" << (version.active ? ", active" : "")
              << (version.pinned ? ", pinned" : "") << "\n";
  }
}

// The base adapter serves every language without a version of its own.
void install(const polygraft::Model &model, const char *task, const char *path) {
  const auto imported = model.import_adapter(task, "mul", path);
  std::cout << "installed version " << imported.version() << " of mul, "
            << (imported.activated() ? "active: " : "not active: ")
            << imported.decision().reason << "\n";
}

void roll_back(const polygraft::Store &store, const char *task, const char *language) {
  const std::uint32_t number = store.roll_back(task, language);
  if (number == 0) {
    std::cout << "rolled back to no version: another language or the shared adapter serves\n";
    return;
  }
  // Until it is unpinned, no update replaces the version.
  store.pin(task, language);
  std::cout << "rolled back to version " << number << ", and pinned:\n";
  print(store, task);
  store.unpin(task, language);
}

void wipe(const polygraft::Store &store, const char *task, const char *language) {
  polygraft::WipeOptions options;
  options.language = language;  // options.retire = 1 would also remove what was learnt from them
  const auto wiped = store.wipe(task, options);
  for (const polygraft::WipedLanguage &one : wiped.languages()) {
    std::cout << "wiped " << one.examples_count << " examples in " << one.language << "\n";
  }
  std::cout << wiped.versions().size() << " versions may have learnt from them\n";
}

}  // namespace

int main(int argc, char **argv) try {
  if (argc != 6) {
    std::cerr << "usage: ship BUNDLE STORE TASK LANGUAGE ADAPTER\n";
    return 2;
  }
  const auto engine = polygraft::Engine::open();
  const auto store = polygraft::Store::open(argv[2]);
  const auto model = polygraft::Model::open(engine, argv[1], store);
  install(model, argv[3], argv[5]);
  print(store, argv[3]);
  roll_back(store, argv[3], argv[4]);
  wipe(store, argv[3], argv[4]);
} catch (const std::exception &error) {
  std::cerr << error.what() << "\n";
  return 1;
}
