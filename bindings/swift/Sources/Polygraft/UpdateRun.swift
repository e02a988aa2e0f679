/// A run of an update on a thread of its own: an asynchronous sequence of its progress, which ends
/// when the run ends, and its report.
///
/// ```swift
/// let run = try update.start()
/// for try await progress in run {
///     print(progress.phase, progress.fraction)
/// }
/// let report = try await run.report
/// ```
///
/// The run is cancelled when the task that iterates or awaits the report is cancelled, and when the
/// run is no longer referenced. It throws `CancellationError` then, and has changed nothing.
public struct UpdateRun: AsyncSequence, Sendable {
    /// How far the run is.
    public typealias Element = UpdateProgress
    /// An iterator over the progress.
    public typealias AsyncIterator = AsyncThrowingStream<UpdateProgress, any Error>.AsyncIterator

    private let progress: AsyncThrowingStream<UpdateProgress, any Error>
    private let outcome: Task<Report, any Error>
    private let token: Cancel

    /// Starts the run. The thread holds the update until the run has ended.
    init(_ update: Update, again: Bool) throws {
        let token = try Cancel()
        // A reader that is slower than ten values a second misses the oldest ones.
        let (progress, continuation) = AsyncThrowingStream<UpdateProgress, any Error>.makeStream(
            bufferingPolicy: .bufferingNewest(64))
        continuation.onTermination = { if case .cancelled = $0 { token.trigger() } }
        outcome = Task {
            do {
                let report = try await onThread {
                    try update.measured(again: again, token) { continuation.yield($0) }
                }
                continuation.finish()
                return report
            } catch {
                continuation.finish(throwing: error)
                throw error
            }
        }
        self.progress = progress
        self.token = token
    }

    /// Iterates over the progress. There can be one iterator. It throws what the run throws.
    public func makeAsyncIterator() -> AsyncIterator {
        progress.makeAsyncIterator()
    }

    /// What a commit would do, once the run has ended. It may be awaited without iterating.
    ///
    /// - Throws: What `Update.run` throws, and `CancellationError` instead of `cancelled`.
    public var report: Report {
        get async throws {
            try await withTaskCancellationHandler {
                try await outcome.value
            } onCancel: {
                token.trigger()
            }
        }
    }

    /// Cancels the run. It ends soon and throws `CancellationError`.
    public func cancel() {
        token.trigger()
    }
}

/// The functions for `async` code. They block no thread of Swift's pool.
extension Update {
    /// Starts to train on the added examples on a thread of its own, and to measure every language
    /// before and after. Commit when the run has ended.
    public func start() throws -> UpdateRun {
        try UpdateRun(self, again: false)
    }

    /// Starts to measure again, as `measureAgain` does, on a thread of its own.
    public func startMeasuringAgain() throws -> UpdateRun {
        try UpdateRun(self, again: true)
    }

    /// Runs the update on a thread of its own. Cancelling the task cancels the run.
    ///
    /// - Throws: What `Update.run` throws, and `CancellationError` instead of `cancelled`.
    public func run() async throws -> Report {
        try await start().report
    }
}
