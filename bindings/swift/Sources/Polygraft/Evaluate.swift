import CPolygraft

/// How well the version that serves a language does on the examples in it.
public struct Score: Hashable, Codable, Sendable {
    /// The language of the examples; empty in a mean.
    public let language: String
    /// The language whose version served; empty in a mean.
    public let servedBy: String
    /// The number of the version that served; nil in a mean.
    public let version: Int?
    /// The number of examples.
    public let examplesCount: Int
    /// The mean score of the examples, from 0 to 1: what the gate of an update compares.
    public let score: Double
    /// The usual metrics of the task, such as `accuracy` or `macro_f1`.
    public let metrics: [String: Double]

    init(_ entry: polygraft_score, _ metric: (Int) -> polygraft_metric) {
        language = String(entry.language)
        servedBy = String(entry.served_by)
        version = entry.version == 0 ? nil : Int(entry.version)
        examplesCount = Int(entry.examples_count)
        score = entry.score
        let all = (0..<Int(entry.metrics_count)).map(metric).filter { !$0.value.isNaN }
        metrics = Dictionary(all.map { (String($0.name), $0.value) }) { first, _ in first }
    }
}

/// The result of an evaluation.
public struct Evaluation: Hashable, Codable, Sendable {
    /// The score of each language, sorted by tag.
    public let languages: [Score]
    /// The mean over the languages, which count the same however many examples they have.
    public let mean: Score

    /// Copies a list of the library.
    init(copying list: OpaquePointer?) throws {
        languages = try (0..<polygraft_scores_count(list)).map { index in
            let entry = try filled(polygraft_score(), \.struct_size) {
                polygraft_scores_get(list, index, $0, $1)
            }
            return Score(entry) { polygraft_scores_metric(list, index, $0) }
        }
        let entry = try filled(polygraft_score(), \.struct_size) {
            polygraft_scores_mean(list, $0, $1)
        }
        mean = Score(entry) { polygraft_scores_mean_metric(list, $0) }
    }
}

/// The functions that evaluate.
extension Model {
    /// Evaluates the versions of a task that serve the languages of the examples on these examples.
    /// It trains and changes nothing.
    ///
    /// - Parameters:
    ///   - cancel: Ends the call when another thread triggers it.
    ///   - progress: Receives, on this thread, the number of evaluated examples and the number of
    ///     all. An error that it throws cancels the evaluation, and the call throws it.
    /// - Throws: `cancelled`, `storeNoVersion`, `taskKind`, `taskUnknownLabel` and others.
    public func evaluate(
        task: String, examples: Examples, cancel: Cancel? = nil,
        progress: (_ step: Int, _ stepsCount: Int) throws -> Void = { _, _ in }
    ) throws -> Evaluation {
        let task = try task.checked("task")
        func hear(_ step: Step) throws -> Bool {
            try progress(step.done, step.count)
            return true
        }
        return try listening(hear) { user in
            try withExtendedLifetime((examples, cancel)) {
                try withObject(
                    {
                        polygraft_model_evaluate(
                            handle.pointer, task, examples.handle.pointer, cancel?.handle.pointer,
                            $0, $1, { Listener.answer(Step(done: $0, count: $1), $2) }, user)
                    }, free: { polygraft_scores_free($0) }, Evaluation.init(copying:))
            }
        }
    }

    /// Evaluates on a thread of its own. Cancelling the task cancels the evaluation.
    ///
    /// - Throws: As the function that blocks, and `CancellationError` instead of `cancelled`.
    public func evaluate(task: String, examples: Examples) async throws -> Evaluation {
        try await offloaded { try self.evaluate(task: task, examples: examples, cancel: $0) }
    }
}

/// How many examples are evaluated.
private struct Step {
    let done: Int
    let count: Int
}
