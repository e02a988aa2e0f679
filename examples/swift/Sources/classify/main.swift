// Classify asks a task of a store for the labels of some texts.
//
//     classify BUNDLE STORE LANGUAGE TEXT...

import Opened
import Polygraft

// guide: begin
func classify(bundle: String, folder: String, language: String, texts: [String]) throws {
    let engine = try Engine()  // finds ONNX Runtime and says where it looked
    let store = try Store(path: folder)
    let model = try Model(engine: engine, bundle: bundle, store: store)
    do {
        let predictions = try model.predict(
            task: "light", language: language, texts: texts, topK: 1)
        for (text, prediction) in zip(texts, predictions) {
            let best = prediction.labels[0]
            let version = "\(prediction.language) version \(prediction.version)"
            print("\(text): \(best.name) \(best.probability) (\(version))")
        }
    } catch PolygraftError.Code.storeNoVersion {
        print("the task has learnt nothing yet")
    }
}
// guide: end

await program("classify BUNDLE STORE LANGUAGE TEXT...", arguments: 4...100) { arguments in
    try classify(
        bundle: arguments[0], folder: arguments[1], language: arguments[2],
        texts: Array(arguments[3...]))
}
