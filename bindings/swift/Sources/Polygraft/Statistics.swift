import CPolygraft
import Foundation

/// The contents of a store in numbers.
public struct StoreStatistics: Hashable, Codable, Sendable {
    /// The generation of the store, which grows by one with every change.
    public let generation: Int
    /// The number of versions.
    public let versionsCount: Int
    /// The number of distinct contents of versions, which can share one.
    public let contentsCount: Int
    /// The size of these contents, in bytes.
    public let contentsSizeBytes: Int
    /// The tasks, sorted by name.
    public let tasks: [TaskStatistics]
}

/// The contents of a store of one task.
public struct TaskStatistics: Hashable, Codable, Sendable {
    /// The task.
    public let task: String
    /// The number of languages that have versions.
    public let languagesCount: Int
    /// The number of versions.
    public let versionsCount: Int
    /// The number of versions that are active.
    public let activeCount: Int
    /// The number of languages that are pinned.
    public let pinnedCount: Int
    /// The size of the distinct contents of the versions, in bytes.
    public let versionsSizeBytes: Int
    /// The number of updates that were committed.
    public let reportsCount: Int
    /// The number of remembered examples.
    public let examplesCount: Int
    /// The size of the remembered examples, in bytes.
    public let examplesSizeBytes: Int
    /// True if there is a checkpoint of a stopped or running update.
    public let hasCheckpoint: Bool
    /// The remembered examples of each language, sorted by tag.
    public let examples: [ExamplesStatistics]
}

/// The remembered examples of one language of a task.
public struct ExamplesStatistics: Hashable, Codable, Sendable {
    /// The language.
    public let language: String
    /// The number of training examples.
    public let trainingCount: Int
    /// The number of held-out examples.
    public let heldOutCount: Int
    /// The number of training examples that wait for an update with enough examples to judge them.
    public let pendingCount: Int
    /// The size of the examples, in bytes.
    public let sizeBytes: Int
    /// The beginning of the day, in UTC, on which the oldest example was added; nil if it is not
    /// known.
    public let oldest: Date?
}

extension Store {
    /// Counts the versions, reports and remembered examples of every task.
    ///
    /// - Throws: `storeMalformed`, `storeCorrupt`, `rehearsalMalformed` and others.
    public func statistics() throws -> StoreStatistics {
        try withObject(
            { polygraft_store_count(handle.pointer, $0, $1) },
            free: { polygraft_statistics_free($0) }, StoreStatistics.init(copying:))
    }
}

extension StoreStatistics {
    init(copying statistics: OpaquePointer?) throws {
        let entry = try filled(polygraft_store_statistics(), \.struct_size) {
            polygraft_statistics_store(statistics, $0, $1)
        }
        generation = Int(entry.generation)
        versionsCount = Int(entry.versions_count)
        contentsCount = Int(entry.contents_count)
        contentsSizeBytes = Int(entry.contents_size_bytes)
        tasks = try (0..<polygraft_statistics_tasks_count(statistics)).map {
            try TaskStatistics(copying: statistics, $0)
        }
    }
}

extension TaskStatistics {
    init(copying statistics: OpaquePointer?, _ index: Int) throws {
        let entry = try filled(polygraft_task_statistics(), \.struct_size) {
            polygraft_statistics_task(statistics, index, $0, $1)
        }
        task = String(entry.task)
        languagesCount = Int(entry.languages_count)
        versionsCount = Int(entry.versions_count)
        activeCount = Int(entry.active_count)
        pinnedCount = Int(entry.pinned_count)
        versionsSizeBytes = Int(entry.versions_size_bytes)
        reportsCount = Int(entry.reports_count)
        examplesCount = Int(entry.examples_count)
        examplesSizeBytes = Int(entry.examples_size_bytes)
        hasCheckpoint = entry.has_checkpoint != 0
        examples = try (0..<Int(entry.examples_languages_count)).map { language in
            ExamplesStatistics(
                try filled(polygraft_examples_statistics(), \.struct_size) {
                    polygraft_statistics_examples(statistics, index, language, $0, $1)
                })
        }
    }
}

extension ExamplesStatistics {
    init(_ entry: polygraft_examples_statistics) {
        language = String(entry.language)
        trainingCount = Int(entry.training_count)
        heldOutCount = Int(entry.held_out_count)
        pendingCount = Int(entry.pending_count)
        sizeBytes = Int(entry.size_bytes)
        oldest =
            entry.oldest_unix_ms == 0
            ? nil : Date(timeIntervalSince1970: Double(entry.oldest_unix_ms) / 1000)
    }
}
