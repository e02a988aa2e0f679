// Learns from new examples, shows how far it is, and stops where Ctrl-C is pressed.
//
// usage: update BUNDLE STORE TASK EXAMPLES
//
// EXAMPLES has one example per line: language, text and label, with tabs between them. An update
// that is cancelled changes nothing.
#include <polygraft.hpp>

#include <csignal>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <sstream>

namespace {

volatile std::sig_atomic_t interrupted = 0;

void add_examples(polygraft::Update &update, const char *path) {
  std::ifstream file(path);
  if (!file) {
    throw std::runtime_error(std::string("cannot read ") + path);
  }
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string language, text, label;
    if (!std::getline(fields, language, '\t') || !std::getline(fields, text, '\t') ||
        !std::getline(fields, label)) {
      throw std::runtime_error("expected language, text and label, found: " + line);
    }
    update.add(language, text, label);
  }
}

// guide: begin
polygraft::Flow show(const polygraft::Progress &progress) {
  std::cout << std::setw(3) << static_cast<int>(100 * progress.fraction) << " %" << std::endl;
  return interrupted ? polygraft::Flow::stop : polygraft::Flow::go_on;
}
// guide: end

void print(const polygraft::Report &report) {
  std::cout << report.gate() << "\n";
  for (const polygraft::LanguageReport &entry : report.languages()) {
    std::cout << entry.language << ": " << entry.before << " -> " << entry.after << ", "
              << (entry.is_activated() ? "activated, " : "kept, ") << entry.reason << "\n";
  }
}

}  // namespace

int main(int argc, char **argv) try {
  if (argc != 5) {
    std::cerr << "usage: update BUNDLE STORE TASK EXAMPLES\n";
    return 2;
  }
  std::signal(SIGINT, [](int) { interrupted = 1; });
  const auto engine = polygraft::Engine::open();
  const auto store = polygraft::Store::open(argv[2]);
  const auto model = polygraft::Model::open(engine, argv[1], store);

  auto update = model.begin_update(argv[3]);
  add_examples(update, argv[4]);
  update.run(show);
  print(update.commit());
} catch (const polygraft::Error &error) {
  std::cerr << error.what() << "\n";
  return error.status() == POLYGRAFT_ERROR_CANCELLED ? 130 : 1;
} catch (const std::exception &error) {
  std::cerr << error.what() << "\n";
  return 1;
}
