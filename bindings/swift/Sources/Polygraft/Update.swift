import CPolygraft

/// The progress of an update.
public struct UpdateProgress: Hashable, Codable, Sendable {
    /// What an update is doing. Phases follow each other in the order of their numbers.
    public struct Phase: LibraryConstant {
        /// The number of the constant in the header.
        public let rawValue: UInt32

        /// Makes the value of a number, also of one that this package does not know.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// The update splits and tokenizes the examples and opens the training session.
        public static let prepare = Self(POLYGRAFT_PHASE_PREPARE)
        /// The update trains the candidates. Steps are optimiser steps.
        public static let train = Self(POLYGRAFT_PHASE_TRAIN)
        /// The update measures the active versions. Steps are examples.
        public static let measureBefore = Self(POLYGRAFT_PHASE_MEASURE_BEFORE)
        /// The update measures the candidates. Steps are examples.
        public static let measureAfter = Self(POLYGRAFT_PHASE_MEASURE_AFTER)

        /// The values that this package knows, with their names.
        public static let names: [Self: String] = [
            prepare: "prepare", train: "train", measureBefore: "measure before",
            measureAfter: "measure after",
        ]
    }

    /// The current phase.
    public let phase: Phase
    /// The number of steps done in this phase.
    public let step: Int
    /// The number of steps of this phase.
    public let stepsCount: Int
    /// The number of training examples processed so far, over all epochs.
    public let examplesSeen: Int
    /// The time since the run began.
    public let elapsed: Duration
    /// The mean loss of the last steps; nil outside of training.
    public let loss: Double?
    /// The estimated fraction of the whole run that is done, from 0 to 1. It never decreases.
    public let fraction: Double

    init(_ progress: polygraft_progress) {
        phase = Phase(rawValue: progress.phase)
        step = Int(progress.step)
        stepsCount = Int(progress.steps_count)
        examplesSeen = Int(progress.examples_seen)
        elapsed = .milliseconds(Int(progress.elapsed_ms))
        loss = measured(progress.loss)
        fraction = progress.fraction
    }
}

/// An update that is not committed yet. Predictions and the store do not change before `commit`;
/// releasing the object before aborts the update.
///
/// One call at a time may use an update: a second one from another thread, or from a progress
/// callback, throws `PolygraftError` with the code `updateState` and changes nothing. A closed
/// update throws `argumentInvalid`.
public final class Update: Sendable {
    let handle: Handle

    /// Begins an update of a task. Without options it takes the library's defaults.
    ///
    /// - Throws: `taskName`, and `argumentInvalid` for an option out of its range.
    public init(model: Model, task: String, options: UpdateOptions? = nil) throws {
        let task = try task.checked("task")
        handle = try Arguments.with { arguments in
            var settings =
                try options?.filled(arguments) ?? UpdateOptions.settings()
            return try withExtendedLifetime(model) {
                try Handle { polygraft_update_begin(model.handle.pointer, task, &settings, $0, $1) }
            }
        }
    }

    /// Aborts an update that was not committed; closing it twice does nothing. It waits for a run
    /// on another thread; inside a progress callback it returns at once.
    public func close() {
        var pointer = handle.pointer
        polygraft_update_close(&pointer)
    }

    deinit { close() }

    /// Trains on the added examples and measures every language before and after. The report says
    /// what a commit would do. It blocks this thread: in `async` code use `start` or `report`.
    ///
    /// A run that fails or is cancelled has changed nothing, and can be run again.
    ///
    /// - Parameters:
    ///   - cancel: Ends the run when another thread triggers it.
    ///   - progress: Runs on this thread, at the first and last step of each phase and at most ten
    ///     times a second between them. An error that it throws, such as `CancellationError()`,
    ///     cancels the run, and the call throws it.
    /// - Throws: `cancelled`, `updateNoExamples`, `updateOneClass`, `taskUnknownLabel` and others.
    public func run(
        cancel: Cancel? = nil, progress: (UpdateProgress) throws -> Void = { _ in }
    ) throws -> Report {
        try measured(again: false, cancel, progress)
    }

    /// Measures the candidates of the last run against the versions that are active now, and lets
    /// the gate judge again. It trains nothing. Call it when `commit` fails with `storeChanged`,
    /// because a version of the task was activated, rolled back or pinned meanwhile; then commit
    /// again. The update keeps its candidates in any case.
    public func measureAgain(
        cancel: Cancel? = nil, progress: (UpdateProgress) throws -> Void = { _ in }
    ) throws -> Report {
        try measured(again: true, cancel, progress)
    }

    /// Runs the update, or measures its candidates again.
    func measured(
        again: Bool, _ cancel: Cancel?, _ progress: (UpdateProgress) throws -> Void
    ) throws -> Report {
        let answer: polygraft_progress_callback = { progress, user in
            guard let progress else { return 1 }
            return Listener.answer(UpdateProgress(progress.pointee), user)
        }
        func hear(_ event: UpdateProgress) throws -> Bool {
            try progress(event)
            return true
        }
        return try listening(hear) { user in
            try withExtendedLifetime(cancel) {
                let token = cancel?.handle.pointer
                return try Report.made { report, failure in
                    again
                        ? polygraft_update_measure_again(
                            handle.pointer, token, report, failure, answer, user)
                        : polygraft_update_run(
                            handle.pointer, token, report, failure, answer, user)
                }
            }
        }
    }

    /// Lets the gate judge the last successful run again, with `gate`, `gateMargin` and
    /// `gateConfidence` of the options. It trains and measures nothing. The report says what a
    /// commit would do now.
    ///
    /// - Throws: `updateState` if the update has not run.
    public func judge(options: UpdateOptions? = nil) throws -> Report {
        try Arguments.with { arguments in
            var settings =
                try options?.filled(arguments) ?? UpdateOptions.settings()
            return try Report.made { polygraft_update_judge(handle.pointer, &settings, $0, $1) }
        }
    }

    /// Publishes what the gate accepted and activates it, for all languages in one step. The report
    /// has the new version numbers. A failed commit leaves the store as it was and the update as it
    /// is.
    ///
    /// - Throws: `updateState` if the update has not run, `storeChanged` if `measureAgain` has to
    ///   come first, `storeLocked` and `ioFull` if it can be tried again, and others.
    public func commit() throws -> Report {
        try Report.made { polygraft_update_commit(handle.pointer, $0, $1) }
    }
}
