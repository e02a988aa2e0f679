import CPolygraft

/// The effect of an update on each language.
public struct Report: Hashable, Codable, Sendable {
    /// The sums of gains and losses over languages. The shared adapter, `mul`, is not counted.
    public struct Summary: Hashable, Codable, Sendable {
        /// The number of languages that improve.
        public let improved: Int
        /// The number of languages that get worse.
        public let lost: Int
        /// The sum of the improvements, in score.
        public let gainTotal: Double
        /// The sum of the losses, in score, as a positive number.
        public let lossTotal: Double
    }

    /// The training of an update in figures.
    public struct Training: Hashable, Codable, Sendable {
        /// The number of new training examples.
        public let examplesNew: Int
        /// The number of remembered examples per epoch.
        public let examplesRehearsed: Int
        /// The number of training runs: one for all languages, or one per language with new data.
        public let trainingRuns: Int
        /// The number of optimiser steps.
        public let steps: Int
        /// The mean loss of the first tenth of the steps.
        public let lossFirst: Double?
        /// The mean loss of the last tenth of the steps.
        public let lossLast: Double?
        /// True if the time budget ended training before its last step.
        public let isCutShort: Bool
        /// True if the loss of a training run was still falling at its end, so that more steps may
        /// help.
        public let isStillFalling: Bool
        /// The wall-clock time of training and measuring.
        public let elapsed: Duration
    }

    /// The task.
    public let task: String
    /// The strategy.
    public let strategy: String
    /// The rule of the gate in words.
    public let gate: String
    /// The languages, sorted by tag; the shared adapter, `mul`, comes last.
    public let languages: [LanguageReport]
    /// The sums over the languages that change.
    public let summary: Summary
    /// The same sums if the candidate were activated in every language.
    public let candidates: Summary
    /// The figures of the training.
    public let training: Training

    /// Copies a report of the library.
    init(_ report: OpaquePointer?) throws {
        task = String(polygraft_report_task(report))
        strategy = String(polygraft_report_strategy(report))
        gate = String(polygraft_report_gate(report))
        languages = try (0..<polygraft_report_languages_count(report)).map { index in
            LanguageReport(
                try filled(polygraft_language_report(), \.struct_size) {
                    polygraft_report_language(report, index, $0, $1)
                })
        }
        summary = Summary(
            try filled(polygraft_summary(), \.struct_size) {
                polygraft_report_summary(report, $0, $1)
            })
        candidates = Summary(
            try filled(polygraft_summary(), \.struct_size) {
                polygraft_report_candidate_summary(report, $0, $1)
            })
        training = Training(
            try filled(polygraft_training(), \.struct_size) {
                polygraft_report_training(report, $0, $1)
            })
    }

    /// Makes one call that writes a report, and copies the report.
    static func made(by body: (Out, Out) -> polygraft_status) throws -> Report {
        try withObject(body, free: { polygraft_report_free($0) }, Report.init)
    }
}

extension Report.Summary {
    init(_ entry: polygraft_summary) {
        improved = Int(entry.improved)
        lost = Int(entry.lost)
        gainTotal = entry.gain_total
        lossTotal = entry.loss_total
    }
}

extension Report.Training {
    init(_ entry: polygraft_training) {
        examplesNew = Int(entry.examples_new)
        examplesRehearsed = Int(entry.examples_rehearsed)
        trainingRuns = Int(entry.training_runs)
        steps = Int(entry.steps)
        lossFirst = measured(entry.loss_first)
        lossLast = measured(entry.loss_last)
        isCutShort = entry.cut_short != 0
        isStillFalling = entry.still_falling != 0
        elapsed = .milliseconds(Int(entry.elapsed_ms))
    }
}
