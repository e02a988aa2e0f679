import CPolygraft
import Foundation

/// One version of one language's adapter for one task.
public struct StoredVersion: Hashable, Codable, Sendable {
    /// The task.
    public let task: String
    /// The language, or `mul` for the shared adapter of the languages without a version.
    public let language: String
    /// The number of the version; the first version of a language is 1.
    public let number: Int
    /// The BLAKE3 hash of the content, in hexadecimal.
    public let hash: String
    /// The size of the content, in bytes.
    public let sizeBytes: Int
    /// The time of publication.
    public let created: Date
    /// The version that was active when this one was published.
    public let parent: Int?
    /// True if the version serves its language.
    public let isActive: Bool
    /// True if the version is active and pinned.
    public let isPinned: Bool

    init(_ entry: polygraft_version) {
        task = String(entry.task)
        language = String(entry.language)
        number = Int(entry.number)
        hash = String(entry.hash)
        sizeBytes = Int(entry.size_bytes)
        created = Date(timeIntervalSince1970: Double(entry.created_unix_ms) / 1000)
        parent = entry.parent == 0 ? nil : Int(entry.parent)
        isActive = entry.active != 0
        isPinned = entry.pinned != 0
    }

    /// Copies a list of the library.
    static func copied(_ list: OpaquePointer?) throws -> [StoredVersion] {
        try (0..<polygraft_versions_count(list)).map { index in
            StoredVersion(
                try filled(polygraft_version(), \.struct_size) {
                    polygraft_versions_get(list, index, $0, $1)
                })
        }
    }
}

/// A folder with the versions of all tasks and languages. Several processes may open one store.
///
/// Every method may be called from any thread, and throws `PolygraftError`: `argumentInvalid` once
/// the store is closed, `taskName` and `language…` for names that are none, `store…` and `io…` for
/// what is on the disk.
public final class Store: Sendable {
    let handle: Handle

    /// Opens the store in a folder, and creates it if the folder is empty or absent.
    public init(path: String) throws {
        let path = try path.checked("path")
        handle = try Handle { polygraft_store_open(path, $0, $1) }
    }

    /// Closes the store; closing it twice does nothing. Models that were opened with it stay
    /// usable. It waits for the calls of other threads.
    public func close() {
        var pointer = handle.pointer
        polygraft_store_close(&pointer)
    }

    deinit { close() }

    /// Lists the versions of a task, or of all tasks, ordered by task, language and number.
    public func versions(task: String? = nil) throws -> [StoredVersion] {
        let task = try task?.checked("task")
        return try withObject(
            { polygraft_store_versions(handle.pointer, task, $0, $1) },
            free: { polygraft_versions_free($0) }, StoredVersion.copied)
    }

    /// Makes `versions[language]` the active version of each language, all in one atomic step.
    ///
    /// - Throws: `storeNoVersion`, `storePinned` and others.
    public func activate(task: String, versions: [String: Int]) throws {
        let task = try task.checked("task")
        let numbers = try versions.values.map { try UInt32(checked: $0, "versions") }
        try Arguments.with { arguments in
            let tags = try arguments.array("versions", Array(versions.keys))
            try call {
                polygraft_store_activate(handle.pointer, task, tags, numbers, numbers.count, $0)
            }
        }
    }

    /// Activates the version of a language that was active before the present one, and returns its
    /// number; nil if none is active now. Each further call goes back one more step.
    ///
    /// - Throws: `storeNoVersion`, `storePinned` and others.
    @discardableResult
    public func rollBack(task: String, language: String) throws -> Int? {
        var number: UInt32 = 0
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        try call { polygraft_store_roll_back(handle.pointer, task, tag, &number, $0) }
        return number == 0 ? nil : Int(number)
    }

    /// Keeps a language on its active version until `unpin`, and returns the number of that
    /// version.
    @discardableResult
    public func pin(task: String, language: String) throws -> Int {
        var number: UInt32 = 0
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        try call { polygraft_store_pin(handle.pointer, task, tag, &number, $0) }
        return Int(number)
    }

    /// Unpins a language, so that its version can change again.
    public func unpin(task: String, language: String) throws {
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        try call { polygraft_store_unpin(handle.pointer, task, tag, $0) }
    }

    /// Returns the reports of all committed updates of a task, the oldest first.
    public func reports(task: String) throws -> [Report] {
        try withReports(of: task) { list in
            try (0..<polygraft_reports_count(list)).map {
                try Report(polygraft_reports_get(list, $0))
            }
        }
    }

    /// Returns the reports of all committed updates of a task as one HTML page with charts.
    public func reportsPage(task: String) throws -> String {
        try withReports(of: task) { String(polygraft_reports_html($0)) }
    }

    private func withReports<Result>(
        of task: String, _ body: (OpaquePointer?) throws -> Result
    ) throws -> Result {
        let task = try task.checked("task")
        return try withObject(
            { polygraft_store_reports(handle.pointer, task, $0, $1) },
            free: { polygraft_reports_free($0) }, body)
    }

    /// Removes the checkpoint of a stopped update of a task, if there is one.
    public func discardCheckpoint(task: String) throws {
        let task = try task.checked("task")
        try call { polygraft_store_discard_checkpoint(handle.pointer, task, $0) }
    }
}
