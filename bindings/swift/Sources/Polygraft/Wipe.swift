import CPolygraft
import Foundation

/// What a wipe did.
public struct Wiped: Hashable, Codable, Sendable {
    /// The number of wiped examples of each language.
    public let examples: [String: Int]
    /// The versions that may have learnt from them, as they were before.
    public let learnt: [StoredVersion]
    /// True if these versions were removed.
    public let isRetired: Bool
}

/// The functions that wipe remembered examples and remove versions.
extension Store {
    /// Wipes the remembered examples of a task that meet all stated conditions, and names the
    /// versions that may have learnt from them. Without a condition all examples of the task are
    /// wiped.
    ///
    /// - Parameters:
    ///   - language: Only examples in this language.
    ///   - label: Only examples with this label, or with this tag or kind of span.
    ///   - addedBefore: Only examples that were first added before this time, or on its day.
    ///   - retire: Whether the versions that may have learnt from them are removed, also active
    ///     ones.
    /// - Throws: `storePinned` if a version to retire is pinned, and others.
    @discardableResult
    public func wipe(
        task: String, language: String? = nil, label: String? = nil, addedBefore: Date? = nil,
        retire: Bool = false
    ) throws -> Wiped {
        let task = try task.checked("task")
        return try Arguments.with { arguments in
            var options = try defaults(polygraft_wipe_options()) {
                polygraft_wipe_options_init($0, $1, $2)
            }
            options.retire = retire ? 1 : 0
            options.language = try arguments.text("language", language)
            options.label = try arguments.text("label", label)
            options.added_before_unix_ms = try addedBefore.map(Store.milliseconds) ?? 0
            return try withObject(
                { polygraft_store_wipe(handle.pointer, task, &options, $0, $1) },
                free: { polygraft_wiped_free($0) }, Wiped.init(copying:))
        }
    }

    /// Removes old versions of a task with their files, in one language or in all, and returns
    /// them. Of each language the active version stays, and so do the `keepLast` newest ones.
    @discardableResult
    public func removeVersions(
        task: String, language: String? = nil, keepLast: Int
    ) throws -> [StoredVersion] {
        let (task, tag) = try (task.checked("task"), language?.checked("language"))
        let keepLast = try UInt32(checked: keepLast, "keepLast")
        return try withObject(
            { polygraft_store_remove_versions(handle.pointer, task, tag, keepLast, $0, $1) },
            free: { polygraft_versions_free($0) }, StoredVersion.copied)
    }

    /// A time as the library counts it. 0 would mean all examples; before 1970 there are none.
    private static func milliseconds(_ time: Date) throws -> UInt64 {
        let milliseconds = max((time.timeIntervalSince1970 * 1000).rounded(.down), 1)
        guard let whole = UInt64(exactly: milliseconds) else {
            throw PolygraftError(argument: "addedBefore is no time that the library can hold")
        }
        return whole
    }
}

extension Wiped {
    init(copying wiped: OpaquePointer?) throws {
        var examples: [String: Int] = [:]
        for index in 0..<polygraft_wiped_languages_count(wiped) {
            let entry = try filled(polygraft_wiped_language(), \.struct_size) {
                polygraft_wiped_get(wiped, index, $0, $1)
            }
            examples[String(entry.language)] = Int(entry.examples_count)
        }
        self.examples = examples
        learnt = try StoredVersion.copied(polygraft_wiped_versions(wiped))
        isRetired = polygraft_wiped_retired(wiped) != 0
    }
}
