// Hotswap predicts while an update trains, and finds the new version when it is active.
//
//     hotswap BUNDLE STORE EXAMPLES [STEPS_MAX]
//
// EXAMPLES is a file as that of update, whose versions the store has already.

import Opened
import Polygraft

/// Asks the same question again and again, and counts the answers of each version.
func serve(_ model: Model) async throws -> [Int: Int] {
    var answers: [Int: Int] = [:]
    while !Task.isCancelled {
        let prediction = try model.predict(task: "light", language: "de", text: "Licht an", topK: 1)
        answers[prediction.version, default: 0] += 1
        try? await Task.sleep(for: .milliseconds(5))
    }
    return answers
}

/// Updates the task without the gate, so that there is a new version whatever the few examples
/// show.
func learn(_ model: Model, _ examples: Examples, stepsMax: Int) async throws {
    var options = try UpdateOptions()
    (options.strategy, options.gate, options.stepsMax) = (.perLanguage, false, stepsMax)
    let update = try Update(model: model, task: "light", options: options)
    try update.add(examples)
    _ = try await update.run()
    _ = try update.commit()
}

await program("hotswap BUNDLE STORE EXAMPLES [STEPS_MAX]", arguments: 3...4) { arguments in
    let opened = try Opened(bundle: arguments[0], store: arguments[1])
    let stepsMax = arguments.count > 3 ? Int(arguments[3]) ?? 0 : 0
    let serving = Task { try await serve(opened.model) }
    try await learn(opened.model, Examples(path: arguments[2]), stepsMax: stepsMax)
    _ = try opened.model.predict(task: "light", language: "de", text: "Licht an")
    try await Task.sleep(for: .milliseconds(100))  // for some answers of the new version
    serving.cancel()
    for (version, count) in try await serving.value.sorted(by: { $0.key < $1.key }) {
        print("version \(version) answered \(count) times")
    }
}
