import CPolygraft

/// The entry of one language in a report. Scores are measured on the examples held out for it.
public struct LanguageReport: Hashable, Codable, Sendable {
    /// The language, or `mul` for the shared adapter of the languages without a version.
    public let language: String
    /// True if the update has new training examples in this language.
    public let isUpdated: Bool
    /// The score of the previous version on the report split, from 0 to 1: the accuracy for
    /// classification, and the mean score of the examples for other kinds of tasks. It is nil if no
    /// version served the language or the split is empty.
    public let before: Double?
    /// The score of the chosen candidate on the same examples.
    public let after: Double?
    /// The number of examples in the report split, which never decide anything.
    public let reportExamples: Int
    /// The number of examples in the selection split, which the gate decides by.
    public let selectionExamples: Int
    /// The kind of the chosen candidate.
    public let candidate: Candidate
    /// The expected change in score, by the selection splits of all languages together; nil if
    /// there is nothing to compare.
    public let change: Double?
    /// The change in score is larger than this with the gate's confidence.
    public let lowerBound: Double?
    /// The change in score is smaller than this with the same confidence.
    public let upperBound: Double?
    /// The chance that the candidate is worse than the previous version, from 0 to 1.
    public let lossChance: Double?
    /// What the evidence of the other languages is worth, in selection examples of this language.
    public let examplesBorrowed: Int
    /// The factor on the deltas in the chosen candidate, at most 1.
    public let strength: Double
    /// The number of examples in the selection split on which the candidate scores better.
    public let gained: Int
    /// The number of examples in the selection split on which the previous version scores better.
    public let lost: Int
    /// True if the candidate becomes the language's version.
    public let isActivated: Bool
    /// The reason of the decision, in one short sentence.
    public let reason: String
    /// The kind of `reason`, for programs.
    public let reasonKind: ReasonKind
    /// The estimated number of further examples of the language that would give the gate enough to
    /// decide by. It is nil if the gate has enough, or if no number would do.
    public let examplesNeeded: Int?
    /// The number that the commit gave the candidate; nil before the commit.
    public let version: Int?

    init(_ entry: polygraft_language_report) {
        language = String(entry.language)
        isUpdated = entry.updated != 0
        before = measured(entry.before)
        after = measured(entry.after)
        reportExamples = Int(entry.report_examples)
        selectionExamples = Int(entry.selection_examples)
        candidate = Candidate(rawValue: entry.candidate)
        change = measured(entry.change)
        lowerBound = measured(entry.lower_bound)
        upperBound = measured(entry.upper_bound)
        lossChance = measured(entry.loss_chance)
        examplesBorrowed = Int(entry.examples_borrowed)
        strength = entry.strength
        gained = Int(entry.gained)
        lost = Int(entry.lost)
        isActivated = entry.decision != UInt32(POLYGRAFT_DECISION_KEEP)
        reason = String(entry.reason)
        reasonKind = ReasonKind(rawValue: entry.reason_kind)
        examplesNeeded = entry.examples_needed == 0 ? nil : Int(entry.examples_needed)
        version = entry.version == 0 ? nil : Int(entry.version)
    }
}

extension LanguageReport {
    /// The kind of a candidate version.
    public struct Candidate: LibraryConstant {
        /// The number of the constant in the header.
        public let rawValue: UInt32

        /// Makes the value of a number, also of one that this package does not know.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// The update had no candidate for the language.
        public static let none = Self(POLYGRAFT_CANDIDATE_NONE)
        /// The candidate was trained on the new data of all languages together.
        public static let shared = Self(POLYGRAFT_CANDIDATE_SHARED)
        /// The candidate was trained on the new data of the language itself.
        public static let own = Self(POLYGRAFT_CANDIDATE_OWN)
        /// The candidate combines the deltas of near languages, weighted by typological distance.
        public static let combined = Self(POLYGRAFT_CANDIDATE_COMBINED)
        /// The candidate was imported from a file.
        public static let imported = Self(POLYGRAFT_CANDIDATE_IMPORTED)
        /// The candidate is the last version of the language that was better than what it replaced.
        public static let earlier = Self(POLYGRAFT_CANDIDATE_EARLIER)

        /// The values that this package knows, with their names.
        public static let names: [Self: String] = [
            none: "none", shared: "shared", own: "own", combined: "combined",
            imported: "imported", earlier: "earlier",
        ]
    }

    /// The kind of reason of a decision of the gate.
    public struct ReasonKind: LibraryConstant {
        /// The number of the constant in the header.
        public let rawValue: UInt32

        /// Makes the value of a number, also of one that this package does not know.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// The report has only the sentence.
        public static let unstated = Self(POLYGRAFT_REASON_UNSTATED)
        /// Kept: the update had no candidate for the language.
        public static let noCandidate = Self(POLYGRAFT_REASON_NO_CANDIDATE)
        /// Kept: the language is pinned to its version.
        public static let pinned = Self(POLYGRAFT_REASON_PINNED)
        /// Kept: so few examples could hide a loss beyond the margin; see `examplesNeeded`.
        public static let tooFewExamples = Self(POLYGRAFT_REASON_TOO_FEW_EXAMPLES)
        /// Kept: the candidate is worse, with the gate's confidence.
        public static let worse = Self(POLYGRAFT_REASON_WORSE)
        /// Kept: a loss beyond the margin is possible, and more examples than are remembered would
        /// be needed to exclude it.
        public static let uncertain = Self(POLYGRAFT_REASON_UNCERTAIN)
        /// Activated: no version served the language before.
        public static let firstVersion = Self(POLYGRAFT_REASON_FIRST_VERSION)
        /// Activated: the gate is off.
        public static let gateOff = Self(POLYGRAFT_REASON_GATE_OFF)
        /// Activated: the candidate is not worse by more than the margin.
        public static let noWorse = Self(POLYGRAFT_REASON_NO_WORSE)
        /// Activated: the candidate is better.
        public static let better = Self(POLYGRAFT_REASON_BETTER)
        /// Kept: no candidate gives finite numbers for every example.
        public static let notFinite = Self(POLYGRAFT_REASON_NOT_FINITE)
        /// Kept: the candidate is no worse than the active version, but may be worse by more than
        /// the margin than an earlier one.
        public static let belowEarlier = Self(POLYGRAFT_REASON_BELOW_EARLIER)

        /// The values that this package knows, with their names.
        public static let names: [Self: String] = [
            unstated: "unstated", noCandidate: "no-candidate", pinned: "pinned",
            tooFewExamples: "too-few-examples", worse: "worse", uncertain: "uncertain",
            firstVersion: "first-version", gateOff: "gate-off", noWorse: "no-worse",
            better: "better", notFinite: "not-finite", belowEarlier: "below-earlier",
        ]
    }
}
