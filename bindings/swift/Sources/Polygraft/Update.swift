import CPolygraft

/// The progress of an update.
public struct Progress: Sendable {
    /// What an update is doing.
    public enum Phase: UInt32, Sendable {
        case prepare = 0
        case train = 1
        case measureBefore = 2
        case measureAfter = 3
    }

    /// Absent for a phase that is newer than this package.
    public let phase: Phase?
    public let step: UInt64
    public let stepsCount: UInt64
    public let examplesSeen: UInt64
    public let elapsedMs: UInt64
    /// The mean loss of the last steps; absent outside of training.
    public let loss: Double?
    /// The estimated fraction of the whole run that is done, from 0 to 1. It never decreases.
    public let fraction: Double

    init(_ progress: polygraft_progress) {
        phase = Phase(rawValue: progress.phase)
        step = progress.step
        stepsCount = progress.steps_count
        examplesSeen = progress.examples_seen
        elapsedMs = progress.elapsed_ms
        loss = progress.loss.isNaN ? nil : progress.loss
        fraction = progress.fraction
    }
}

/// An update that is not committed yet. Only one thread may use it at a time. Predictions and the
/// store do not change before `commit`; releasing the object before aborts the update.
public final class Update {
    let handle: OpaquePointer?

    /// Begins an update of a task. `configure` may change the library's default options.
    public init(
        model: Model, task: String, configure: (inout polygraft_update_options) -> Void = { _ in }
    ) throws {
        var begun: OpaquePointer?
        var options = polygraft_update_options()
        let size = MemoryLayout<polygraft_update_options>.size
        try call { polygraft_update_options_init(&options, size, $0) }
        configure(&options)
        let task = try task.checked("task")
        try call { polygraft_update_begin(model.handle, task, &options, &begun, $0) }
        handle = begun
    }

    /// Aborts an update that was not committed. It waits for a run on another thread; inside
    /// `progress` it returns at once.
    public func close() {
        var handle = handle
        polygraft_update_close(&handle)
    }

    deinit { close() }

    /// Trains on the added examples and measures every language before and after. The report says
    /// what a commit would do. `progress` returns false to cancel.
    public func run(
        cancel: Cancel? = nil, progress: @escaping (Progress) -> Bool = { _ in true }
    ) throws -> Report {
        try measured(by: polygraft_update_run, cancel: cancel, progress: progress)
    }

    /// Measures the candidates of the last run against the versions that are active now, and lets
    /// the gate judge again. It trains nothing. Call it when `commit` fails with `store.changed`,
    /// because somebody activated, rolled back or pinned a version of the task meanwhile; then
    /// commit again.
    public func measureAgain(
        cancel: Cancel? = nil, progress: @escaping (Progress) -> Bool = { _ in true }
    ) throws -> Report {
        try measured(by: polygraft_update_measure_again, cancel: cancel, progress: progress)
    }

    private func measured(
        by function: MeasuringFunction, cancel: Cancel?, progress: @escaping (Progress) -> Bool
    ) throws -> Report {
        var report: OpaquePointer?
        let listener = Listener(progress)
        try withExtendedLifetime((listener, cancel)) {
            let user = Unmanaged.passUnretained(listener).toOpaque()
            try call {
                function(
                    handle, cancel?.handle, &report, $0,
                    { progress, user in
                        guard let progress, let user else { return 1 }
                        let listener = Unmanaged<Listener>.fromOpaque(user).takeUnretainedValue()
                        return listener.proceed(Progress(progress.pointee)) ? 0 : 1
                    },
                    user
                )
            }
        }
        return try Report(taking: &report)
    }

    /// Lets the gate judge the last successful run again, with the gate's fields of the options. It
    /// trains and measures nothing.
    public func judge(
        configure: (inout polygraft_update_options) -> Void = { _ in }
    ) throws -> Report {
        var report: OpaquePointer?
        var options = polygraft_update_options()
        let size = MemoryLayout<polygraft_update_options>.size
        try call { polygraft_update_options_init(&options, size, $0) }
        configure(&options)
        try call { polygraft_update_judge(handle, &options, &report, $0) }
        return try Report(taking: &report)
    }

    /// Publishes what the gate accepted and activates it, for all languages in one step.
    public func commit() throws -> Report {
        var report: OpaquePointer?
        try call { polygraft_update_commit(handle, &report, $0) }
        return try Report(taking: &report)
    }
}

/// A function of the library that reports progress and gives a report.
private typealias MeasuringFunction = (
    OpaquePointer?, OpaquePointer?, UnsafeMutablePointer<OpaquePointer?>?,
    UnsafeMutablePointer<OpaquePointer?>?, polygraft_progress_callback?, UnsafeMutableRawPointer?
) -> polygraft_status

/// The object behind the user pointer of the library's progress callback.
private final class Listener {
    let proceed: (Progress) -> Bool

    init(_ proceed: @escaping (Progress) -> Bool) {
        self.proceed = proceed
    }
}
