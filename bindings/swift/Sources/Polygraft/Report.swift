import CPolygraft

/// The kind of reason of a decision of the gate.
public enum ReasonKind: UInt32, Sendable {
    /// The report has only the sentence, or a reason of a newer library.
    case unstated = 0
    /// Kept: the update had no candidate for the language.
    case noCandidate
    /// Kept: the language is pinned to its version.
    case pinned
    /// Kept: so few examples could hide a loss beyond the margin; see `examplesNeeded`.
    case tooFewExamples
    /// Kept: the candidate is worse, with the gate's confidence.
    case worse
    /// Kept: a loss beyond the margin is possible, and more examples than are remembered would be
    /// needed to exclude it.
    case uncertain
    /// Activated: no version served the language before.
    case firstVersion
    /// Activated: the gate is off.
    case gateOff
    /// Activated: the candidate is not worse by more than the margin.
    case noWorse
    /// Activated: the candidate is better.
    case better
    /// Kept: no candidate gives finite numbers for every example.
    case notFinite
}

/// The entry of one language in a report. Scores are measured on the examples held out for it.
public struct LanguageReport: Sendable {
    public let language: String
    /// True if the update has new training examples in this language.
    public let isUpdated: Bool
    /// The scores of the previous version and of the chosen candidate on the report split, from 0
    /// to 1: the accuracy for classification, and the mean score of the examples for other kinds of
    /// tasks. They are absent if there was nothing to measure.
    public let before: Double?
    public let after: Double?
    /// The number of examples in the report split, which never decide anything.
    public let reportExamples: UInt64
    /// The number of examples in the selection split, which the gate decides by.
    public let selectionExamples: UInt64
    /// The expected change in score, by the selection splits of all languages together.
    public let change: Double?
    /// The change in score is larger than this with the gate's confidence.
    public let lowerBound: Double?
    /// The change in score is smaller than this with the same confidence.
    public let upperBound: Double?
    /// The chance that the candidate is worse than the previous version, from 0 to 1.
    public let lossChance: Double?
    /// The number of selection examples of the language that would show as much as those of the
    /// other languages did.
    public let examplesBorrowed: UInt64
    /// The factor on what was learnt in the chosen candidate, at most 1.
    public let strength: Double
    /// The number of examples in the selection split on which the candidate scores better.
    public let gained: UInt64
    /// The number of examples in the selection split on which the previous version scores better.
    public let lost: UInt64
    /// True if the candidate becomes the language's version.
    public let isActivated: Bool
    /// The reason of the decision in words.
    public let reason: String
    /// The kind of `reason`, for programs.
    public let reasonKind: ReasonKind
    /// The estimated number of further examples of the language that would give the gate enough to
    /// decide by. It is absent if the gate has enough, or if no number would do.
    public let examplesNeeded: UInt64?
    /// The number that the commit gave the candidate.
    public let version: UInt32?

    init(_ entry: polygraft_language_report) {
        func measured(_ value: Double) -> Double? { value.isNaN ? nil : value }
        language = String(entry.language)
        isUpdated = entry.updated != 0
        before = measured(entry.before)
        after = measured(entry.after)
        change = measured(entry.change)
        lowerBound = measured(entry.lower_bound)
        upperBound = measured(entry.upper_bound)
        lossChance = measured(entry.loss_chance)
        examplesBorrowed = entry.examples_borrowed
        strength = entry.strength
        reportExamples = entry.report_examples
        selectionExamples = entry.selection_examples
        gained = entry.gained
        lost = entry.lost
        isActivated = entry.decision == UInt32(POLYGRAFT_DECISION_ACTIVATE)
        reason = String(entry.reason)
        reasonKind = ReasonKind(rawValue: entry.reason_kind) ?? .unstated
        examplesNeeded = entry.examples_needed == 0 ? nil : entry.examples_needed
        version = entry.version == 0 ? nil : entry.version
    }
}

/// The effect of an update on each language.
public struct Report: Sendable {
    public let task: String
    public let strategy: String
    /// The rule of the gate in words.
    public let gate: String
    /// Sorted by tag; the shared adapter, `mul`, comes last.
    public let languages: [LanguageReport]
    /// The numbers of languages that improve and that get worse.
    public let improved: UInt64
    public let lost: UInt64
    /// The number of optimiser steps.
    public let steps: UInt64
    /// True if the loss of a training run was still falling at its end, so that more steps may
    /// help.
    public let isStillFalling: Bool

    /// Copies a report object and frees it.
    init(taking object: inout OpaquePointer?) throws {
        let report = object
        defer { polygraft_report_free(&object) }
        task = String(polygraft_report_task(report))
        strategy = String(polygraft_report_strategy(report))
        gate = String(polygraft_report_gate(report))
        languages = try (0..<polygraft_report_languages_count(report)).map { index in
            var entry = polygraft_language_report()
            entry.struct_size = UInt32(MemoryLayout<polygraft_language_report>.size)
            try call { polygraft_report_language(report, index, &entry, $0) }
            return LanguageReport(entry)
        }
        var summary = polygraft_summary()
        summary.struct_size = UInt32(MemoryLayout<polygraft_summary>.size)
        try call { polygraft_report_summary(report, &summary, $0) }
        improved = summary.improved
        lost = summary.lost
        var training = polygraft_training()
        training.struct_size = UInt32(MemoryLayout<polygraft_training>.size)
        try call { polygraft_report_training(report, &training, $0) }
        steps = training.steps
        isStillFalling = training.still_falling != 0
    }
}
