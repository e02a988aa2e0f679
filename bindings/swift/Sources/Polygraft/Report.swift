import CPolygraft

/// Why the gate decided as it did.
public enum ReasonKind: UInt32, Sendable {
    /// The report has the sentence alone, or a reason of a newer library.
    case unstated = 0
    /// Kept: the update had no candidate for the language.
    case noCandidate
    /// Kept: an operator has pinned the language to its version.
    case pinned
    /// Kept: too few selection examples to judge by; see `examplesNeeded`.
    case tooFewExamples
    /// Kept: the candidate scores less on the selection split.
    case worse
    /// Kept: so few examples could hide a loss beyond the margin.
    case uncertain
    /// Activated: nothing served the language.
    case firstVersion
    /// Activated: the gate is off.
    case gateOff
    /// Activated: the first candidate is no worse by more than the margin.
    case noWorse
    /// Activated: another candidate is clearly better.
    case better
    /// Kept: no candidate answers every example with numbers that are finite.
    case notFinite
}

/// One language of a report, measured on the examples held out for it.
public struct LanguageReport: Sendable {
    public let language: String
    /// The update brought new training examples in this language.
    public let isUpdated: Bool
    /// Scores on the report split, 0 to 1: accuracy for labels, and for other kinds of
    /// answers the mean of how good each is; absent where there was nothing to measure.
    public let before: Double?
    public let after: Double?
    /// How many examples the report split has; they never decide anything.
    public let reportExamples: UInt64
    /// How many examples the selection split has, by which the gate chose and decided.
    public let selectionExamples: UInt64
    /// The lower confidence bound of the change on the selection split.
    public let lowerBound: Double?
    /// Selection examples that the candidate answers better.
    public let gained: UInt64
    /// Selection examples that the previous version answers better.
    public let lost: UInt64
    /// The candidate becomes the language's version.
    public let isActivated: Bool
    /// Why.
    public let reason: String
    /// The same for programs.
    public let reasonKind: ReasonKind
    /// About how many more examples of the language would have given the gate enough to decide by;
    /// absent when it did not lack any, or when no number of them would do.
    public let examplesNeeded: UInt64?
    /// The number that the commit gave the candidate.
    public let version: UInt32?

    init(_ entry: polygraft_language_report) {
        func measured(_ value: Double) -> Double? { value.isNaN ? nil : value }
        language = String(entry.language)
        isUpdated = entry.updated != 0
        before = measured(entry.before)
        after = measured(entry.after)
        lowerBound = measured(entry.lower_bound)
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

/// What an update does to each language.
public struct Report: Sendable {
    public let task: String
    public let strategy: String
    /// The gate's rule in words.
    public let gate: String
    /// Sorted by tag; the shared adapter, `mul`, comes last.
    public let languages: [LanguageReport]
    /// How many languages users are served better, and worse.
    public let improved: UInt64
    public let lost: UInt64
    /// How many optimiser steps training took.
    public let steps: UInt64
    /// The loss of a training was still going down at its end, so that more steps may help.
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
