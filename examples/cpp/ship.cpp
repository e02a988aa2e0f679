// Looks after a store that was shipped: which version serves, go back, stay there.
//
// usage: ship STORE TASK LANGUAGE
//
// It needs no model and no ONNX Runtime. A program that predicts with the same store, in this
// process or another, uses the version at its next prediction.
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

}  // namespace

int main(int argc, char **argv) try {
  if (argc != 4) {
    std::cerr << "usage: ship STORE TASK LANGUAGE\n";
    return 2;
  }
  const char *task = argv[2];
  const char *language = argv[3];
  const auto store = polygraft::Store::open(argv[1]);
  std::cout << "shipped:\n";
  print(store, task);

  const std::uint32_t number = store.roll_back(task, language);
  if (number == 0) {
    std::cout << "rolled back to no version: another language or the shared adapter serves\n";
    return 0;
  }
  // Until it is unpinned, no update replaces the version.
  store.pin(task, language);
  std::cout << "rolled back to version " << number << ", and pinned:\n";
  print(store, task);
  store.unpin(task, language);

  const auto reports = store.reports(task);
  std::cout << reports.size() << " updates so far";
  if (reports.size() > 0) {
    const polygraft::Summary last = reports[reports.size() - 1].summary();
    std::cout << "; the last one improved " << last.improved << " languages and harmed "
              << last.lost;
  }
  std::cout << "\n";
} catch (const std::exception &error) {
  std::cerr << error.what() << "\n";
  return 1;
}
