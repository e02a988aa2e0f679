// Classifies texts: opens a bundle with a store and prints the best labels of each text.
//
// usage: classify BUNDLE STORE TASK LANGUAGE TEXT...
//
// Build it against an installed polygraft, wherever that is:
//
//   c++ -std=c++17 classify.cpp $(pkg-config --cflags --libs polygraft) -o classify
#include <polygraft.hpp>

#include <iostream>

// guide: begin
int main(int argc, char **argv) try {
  if (argc < 6) {
    std::cerr << "usage: classify BUNDLE STORE TASK LANGUAGE TEXT...\n";
    return 2;
  }
  const auto engine = polygraft::Engine::open();  // finds ONNX Runtime, or says where it looked
  const auto store = polygraft::Store::open(argv[2]);
  const auto model = polygraft::Model::open(engine, argv[1], store);

  polygraft::PredictOptions options;
  options.top_k = 2;
  const std::vector<std::string> texts(argv + 5, argv + argc);
  const auto predictions = model.predict_batch(argv[3], argv[4], texts, options);
  for (std::size_t index = 0; index < texts.size(); index++) {
    const polygraft::Prediction &prediction = predictions[index];
    std::cout << texts[index] << ":";
    for (const auto &[label, probability] : prediction.labels()) {
      std::cout << " " << label << " " << probability;
    }
    std::cout << " (version " << prediction.version() << " of " << prediction.language() << ")\n";
  }
} catch (const polygraft::Error &error) {
  // A stable name for programs and logs, then what failed, from the outside to the inside.
  std::cerr << error.name() << "\n";
  for (const std::string &cause : error.causes()) {
    std::cerr << "  " << cause << "\n";
  }
  return 1;
}
// guide: end
