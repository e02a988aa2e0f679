import CPolygraft

/// A token that cancels the calls it is given to. A cancelled token stays cancelled.
///
/// In `async` code there is no need for one: cancel the task instead.
public final class Cancel: Sendable {
    let handle: Handle

    /// Makes a token that is not cancelled.
    public init() throws {
        handle = try Handle { polygraft_cancel_open($0, $1) }
    }

    /// Cancels every call that runs with this token, now and later. May be called from any thread;
    /// that is its purpose.
    public func trigger() {
        // The token is open as long as this object lives, so this cannot fail.
        _ = polygraft_cancel_trigger(handle.pointer, nil)
    }

    deinit {
        var pointer = handle.pointer
        polygraft_cancel_close(&pointer)
    }
}
