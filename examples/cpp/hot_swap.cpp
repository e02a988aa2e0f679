// Changes versions while threads predict: each prediction is of one version, whole, and none waits.
//
// usage: hot_swap BUNDLE STORE TASK LANGUAGE TEXT
//
// The language needs at least two versions in the store. In the end the first one is active.
#include <polygraft.hpp>

#include <atomic>
#include <iostream>
#include <map>
#include <thread>

namespace {

// How often the versions change.
constexpr int kRounds = 50;

using Counts = std::map<std::uint32_t, unsigned>;

// Predicts until it is told to stop. Many threads may use one model; it is const.
Counts predict(const polygraft::Model &model, char **argv, const std::atomic<bool> &stop) {
  Counts counts;
  do {
    counts[model.predict(argv[3], argv[4], argv[5]).version()]++;
  } while (!stop);
  return counts;
}

}  // namespace

int main(int argc, char **argv) try {
  if (argc != 6) {
    std::cerr << "usage: hot_swap BUNDLE STORE TASK LANGUAGE TEXT\n";
    return 2;
  }
  const auto engine = polygraft::Engine::open();
  const auto store = polygraft::Store::open(argv[2]);
  const auto model = polygraft::Model::open(engine, argv[1], store);

  std::atomic<bool> stop{false};
  Counts counts[2];
  std::exception_ptr failures[2];
  std::thread threads[2];
  for (int index = 0; index < 2; index++) {
    threads[index] = std::thread([&, index] {
      try {
        counts[index] = predict(model, argv, stop);
      } catch (...) {
        failures[index] = std::current_exception();
      }
    });
  }
  std::exception_ptr failure;
  try {
    for (int round = 0; round <= kRounds; round++) {
      store.activate(argv[3], argv[4], round % 2 == 0 ? 1 : 2);
      std::this_thread::yield();
    }
  } catch (...) {
    failure = std::current_exception();
  }
  stop = true;
  for (std::thread &thread : threads) {
    thread.join();
  }
  for (const std::exception_ptr &one : {failure, failures[0], failures[1]}) {
    if (one) {
      std::rethrow_exception(one);
    }
  }
  for (const Counts &seen : counts) {
    for (const auto &[version, count] : seen) {
      std::cout << count << " predictions by version " << version << "\n";
    }
  }
  std::cout << "active: " << model.predict(argv[3], argv[4], argv[5]).version() << "\n";
} catch (const std::exception &error) {
  std::cerr << error.what() << "\n";
  return 1;
}
