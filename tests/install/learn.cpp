#include <polygraft.hpp>
#include <iostream>

int main(int argc, char **argv) try {
  if (argc != 3) throw std::invalid_argument("usage: learn BUNDLE STORE");
  const auto engine = polygraft::Engine::open();  // finds ONNX Runtime
  const auto store = polygraft::Store::open(argv[2]);
  const auto model = polygraft::Model::open(engine, argv[1], store);

  polygraft::UpdateOptions options;
  options.gate_enabled = options.rehearsal_held_out_percent = 0;  // four examples prove nothing
  options.learning_rate = 0.01;                                   // for a backbone that is tiny
  auto update = model.begin_update("light", options);
  for (const char *text : {"turn on the lamp", "lamp on"}) update.add("en", text, "on");
  for (const char *text : {"turn off the lamp", "lamp off"}) update.add("en", text, "off");
  update.run([](const polygraft::Progress &at) { std::clog << 100 * at.fraction << " %\n"; });
  const auto report = update.commit();

  const auto prediction = model.predict("light", "en", "turn on the lamp");
  std::cout << prediction.label() << ", version " << prediction.version() << "\n";
  for (const auto &language : report.languages()) store.roll_back("light", language.language);
  std::cout << (store.versions("light")[0].active ? "still active\n" : "rolled back\n");
} catch (const std::exception &error) {
  return std::cerr << error.what() << "\n", 1;
}
