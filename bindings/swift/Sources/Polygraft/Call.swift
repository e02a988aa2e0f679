import CPolygraft
import Foundation

/// The place where the library writes a pointer.
typealias Out = UnsafeMutablePointer<OpaquePointer?>

/// A handle of the library, or an object that never changes.
///
/// It may be shared by threads: the library refuses a closed handle, never reuses its number, and
/// guards what is behind it; objects are only read until they are freed. An update, which one
/// thread at a time may use, refuses a second call while one runs.
struct Handle: @unchecked Sendable {
    let pointer: OpaquePointer?

    /// Makes the handle that a call writes.
    init(_ body: (Out, Out) -> polygraft_status) throws {
        pointer = try produced(body)
    }
}

/// Makes one call that takes `polygraft_error **`, and throws its failure.
func call(_ body: (Out) -> polygraft_status) throws {
    var failure: OpaquePointer?
    let status = body(&failure)
    if status != polygraft_status(POLYGRAFT_OK) {
        throw PolygraftError(taking: &failure, status: status)
    }
}

/// Makes one call that writes a pointer, and returns that.
func produced(_ body: (Out, Out) -> polygraft_status) throws -> OpaquePointer? {
    var pointer: OpaquePointer?
    try call { body(&pointer, $0) }
    return pointer
}

/// Makes one call that writes an object, lends the object to `body`, and frees it.
func withObject<Result>(
    _ make: (Out, Out) -> polygraft_status, free: (Out) -> Void,
    _ body: (OpaquePointer?) throws -> Result
) throws -> Result {
    var object = try produced(make)
    defer { free(&object) }
    return try body(object)
}

/// Makes one call that fills a struct of the header.
func filled<Entry>(
    _ entry: Entry, _ size: WritableKeyPath<Entry, UInt32>,
    _ body: (UnsafeMutablePointer<Entry>, Out) -> polygraft_status
) throws -> Entry {
    var entry = entry
    entry[keyPath: size] = UInt32(MemoryLayout<Entry>.stride)
    try call { body(&entry, $0) }
    return entry
}

/// Makes one call that fills a struct of options with the defaults.
func defaults<Options>(
    _ options: Options,
    _ body: (UnsafeMutablePointer<Options>, Int, Out) -> polygraft_status
) throws -> Options {
    var options = options
    try call { body(&options, MemoryLayout<Options>.stride, $0) }
    return options
}

extension String {
    /// Copies a view of the library.
    init(_ view: polygraft_string_view) {
        let bytes = UnsafeRawBufferPointer(start: view.ptr, count: view.len)
        self = String(decoding: bytes, as: UTF8.self)
    }

    /// Returns the text itself, or throws if C would see only a part of it.
    func checked(_ name: String) throws -> String {
        if utf8.contains(0) {
            throw PolygraftError(argument: "\(name) contains a NUL character")
        }
        return self
    }
}

extension FixedWidthInteger {
    /// Converts a number of the caller, which may be out of range.
    init(checked value: Int, _ name: String) throws {
        guard let number = Self(exactly: value) else {
            throw PolygraftError(
                argument: "\(name): expected a number from \(Self.min) to \(Self.max), "
                    + "found \(value)")
        }
        self = number
    }
}

extension Int {
    /// Converts a count of the library.
    init(_ count: UInt64) {
        self.init(clamping: count)
    }
}

/// Returns a number that was measured, or nil for NaN.
func measured(_ value: Double) -> Double? {
    value.isNaN ? nil : value
}

/// A value that one thread at a time may use.
final class Locked<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    init(_ value: Value) {
        self.value = value
    }

    func with<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        try lock.withLock { try body(&value) }
    }
}
