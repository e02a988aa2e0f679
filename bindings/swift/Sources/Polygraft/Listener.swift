import CPolygraft
import Foundation

/// The object behind the user pointer of a callback.
final class Listener<Event> {
    private let hear: (Event) throws -> Bool
    private(set) var thrown: (any Error)?

    init(_ hear: @escaping (Event) throws -> Bool) {
        self.hear = hear
    }

    /// Passes an event on. Returns what C expects: 0 to continue. An error must not cross the
    /// library's frames, so it is kept until the call has returned.
    func answer(_ event: Event) -> Int32 {
        if thrown != nil { return 1 }
        do {
            return try hear(event) ? 0 : 1
        } catch {
            thrown = error
            return 1
        }
    }

    /// Passes an event to the listener behind a user pointer.
    static func answer(_ event: Event, _ user: UnsafeMutableRawPointer?) -> Int32 {
        guard let user else { return 1 }
        return Unmanaged<Listener>.fromOpaque(user).takeUnretainedValue().answer(event)
    }
}

/// Makes a call whose callback passes events to `hear`, and throws what `hear` throws. `body` gets
/// the user pointer, and frees what the library gave it before it returns.
func listening<Event, Value>(
    _ hear: (Event) throws -> Bool, _ body: (UnsafeMutableRawPointer) throws -> Value
) throws -> Value {
    try withoutActuallyEscaping(hear) { hear in
        let listener = Listener(hear)
        let result = Result<Value, any Error> {
            try withExtendedLifetime(listener) {
                try body(Unmanaged.passUnretained(listener).toOpaque())
            }
        }
        if let thrown = listener.thrown { throw thrown }
        return try result.get()
    }
}

/// Runs what takes long on a thread of its own, so that it blocks no thread of Swift's pool. The
/// task's cancellation triggers the token that `body` gets.
func offloaded<Value: Sendable>(
    _ body: @escaping @Sendable (Cancel) throws -> Value
) async throws -> Value {
    let token = try Cancel()
    return try await withTaskCancellationHandler {
        try await onThread { try body(token) }
    } onCancel: {
        token.trigger()
    }
}

/// Runs `body` on a thread of its own. A cancelled call throws `CancellationError`, as cancelled
/// tasks do.
func onThread<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        let thread = Thread {
            continuation.resume(
                with: Result {
                    do {
                        return try body()
                    } catch PolygraftError.Code.cancelled {
                        throw CancellationError()
                    }
                })
        }
        // What the main thread has; other threads have less on some systems.
        thread.stackSize = 8 << 20
        thread.name = "polygraft"
        thread.start()
    }
}
