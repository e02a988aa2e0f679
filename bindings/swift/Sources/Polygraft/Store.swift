import CPolygraft

/// One version of one language's adapter for one task.
public struct StoredVersion: Sendable, Equatable {
    public let task: String
    public let language: String
    /// The number of the version; the first version of a language is 1.
    public let number: UInt32
    /// The BLAKE3 hash of the content, in hexadecimal.
    public let hash: String
    public let sizeBytes: UInt64
    /// The time of publication, in milliseconds since 1970-01-01 00:00 UTC.
    public let createdUnixMs: UInt64
    /// The version that was active when this one was published.
    public let parent: UInt32?
    public let isActive: Bool
    public let isPinned: Bool

    init(_ entry: polygraft_version) {
        task = String(entry.task)
        language = String(entry.language)
        number = entry.number
        hash = String(entry.hash)
        sizeBytes = entry.size_bytes
        createdUnixMs = entry.created_unix_ms
        parent = entry.parent == 0 ? nil : entry.parent
        isActive = entry.active != 0
        isPinned = entry.pinned != 0
    }
}

/// A folder with the versions of all tasks and languages. It is safe to use from many threads.
public final class Store: @unchecked Sendable {
    let handle: OpaquePointer?

    /// Opens the store in a folder, and creates it if the folder is empty or absent.
    public init(path: String) throws {
        var opened: OpaquePointer?
        let path = try path.checked("path")
        try call { polygraft_store_open(path, &opened, $0) }
        handle = opened
    }

    /// Closes the store. Models that were opened with it stay usable.
    public func close() {
        var handle = handle
        polygraft_store_close(&handle)
    }

    deinit { close() }

    /// Lists the versions of a task, or of all tasks, ordered by task, language and number.
    public func versions(task: String? = nil) throws -> [StoredVersion] {
        var list: OpaquePointer?
        let task = try task?.checked("task")
        try call { polygraft_store_versions(handle, task, &list, $0) }
        defer { polygraft_versions_free(&list) }
        return try (0..<polygraft_versions_count(list)).map { index in
            var entry = polygraft_version()
            entry.struct_size = UInt32(MemoryLayout<polygraft_version>.size)
            try call { polygraft_versions_get(list, index, &entry, $0) }
            return StoredVersion(entry)
        }
    }

    /// Makes `versions[language]` the active version of each language, all in one atomic step.
    public func activate(task: String, versions: [String: UInt32]) throws {
        let task = try task.checked("task")
        let languages = try versions.keys.map { try $0.checked("language") }
        let numbers = Array(versions.values)
        try withTexts(languages) { tags in
            try call { polygraft_store_activate(handle, task, tags, numbers, numbers.count, $0) }
        }
    }

    /// Activates the version of a language that was active before the present one, and returns its
    /// number.
    @discardableResult
    public func rollBack(task: String, language: String) throws -> UInt32? {
        var number: UInt32 = 0
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        try call { polygraft_store_roll_back(handle, task, tag, &number, $0) }
        return number == 0 ? nil : number
    }

    /// Keeps a language on its active version until `unpin`, and returns the number of that
    /// version.
    @discardableResult
    public func pin(task: String, language: String) throws -> UInt32 {
        var number: UInt32 = 0
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        try call { polygraft_store_pin(handle, task, tag, &number, $0) }
        return number
    }

    /// Unpins a language, so that its version can change again.
    public func unpin(task: String, language: String) throws {
        let (task, tag) = try (task.checked("task"), language.checked("language"))
        try call { polygraft_store_unpin(handle, task, tag, $0) }
    }
}
