import Foundation
import Polygraft
import XCTest

final class AsyncTests: PolygraftTestCase {
    /// An update that trains until it is cancelled.
    private func endless(_ model: Model) throws -> Update {
        var options = try short(steps: 0)
        options.epochs = 10_000
        return try begin(model, options)
    }

    func testProgressIsASequence() async throws {
        let (model, store) = try open()
        let update = try begin(model)
        let run = try update.start()
        var phases: [UpdateProgress.Phase] = []
        for try await progress in run where phases.last != progress.phase {
            phases.append(progress.phase)
        }
        XCTAssertTrue(phases.contains(.train) && phases.contains(.measureAfter), "\(phases)")
        let report = try await run.report
        XCTAssertEqual(report.languages.map(\.language), ["de", "en", "mul"])
        let twice = try await run.report
        XCTAssertEqual(twice, report)
        let again = try update.startMeasuringAgain()
        for try await progress in again { XCTAssertNotEqual(progress.phase, .train) }
        _ = try await again.report
        _ = try update.commit()
        XCTAssertEqual(try store.versions().count, 3)
    }

    func testAReportNeedsNoIteration() async throws {
        let (model, _) = try open()
        let update = try begin(model)
        let report = try await update.run()
        XCTAssertEqual(report.task, "light")
    }

    func testCancellingATaskCancelsTheRun() async throws {
        let (model, store) = try open()
        let update = try endless(model)
        let task = Task { try await update.run() }
        try await Task.sleep(nanoseconds: 200_000_000)
        task.cancel()
        let result = await task.result
        XCTAssertThrowsError(try result.get()) { XCTAssertTrue($0 is CancellationError, "\($0)") }
        assertFails(.updateState) { try update.commit() }
        XCTAssertEqual(try store.versions(), [])
    }

    func testATaskThatIsCancelledBeforeItBegins() async throws {
        let (model, _) = try open()
        let update = try endless(model)
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await update.run()
        }
        task.cancel()
        let result = await task.result
        XCTAssertThrowsError(try result.get()) { XCTAssertTrue($0 is CancellationError, "\($0)") }
    }

    func testCancellingWhileIterating() async throws {
        let (model, _) = try open()
        let run = try endless(model).start()
        var trained = false
        do {
            for try await progress in run where progress.phase == .train {
                trained = true
                run.cancel()
            }
            XCTFail("a cancelled run ends without an error")
        } catch {
            XCTAssertTrue(error is CancellationError, "\(error)")
        }
        XCTAssertTrue(trained)
        do {
            _ = try await run.report
            XCTFail("a cancelled run has a report")
        } catch {
            XCTAssertTrue(error is CancellationError, "\(error)")
        }
    }

    func testATaskThatIteratesIsCancelled() async throws {
        let (model, _) = try open()
        let run = try endless(model).start()
        let task = Task {
            for try await progress in run where progress.phase == .train { return }
            try await Task.sleep(nanoseconds: 60_000_000_000)
        }
        _ = await task.result
        let other = Task { for try await _ in run {} }
        other.cancel()
        _ = await other.result
        do {
            _ = try await run.report
            XCTFail("a cancelled run has a report")
        } catch {
            XCTAssertTrue(error is CancellationError, "\(error)")
        }
    }

    /// A run that is no longer referenced ends, and the update can be used again.
    func testARunThatNobodyHoldsIsCancelled() async throws {
        let (model, _) = try open()
        let update = try endless(model)
        for try await progress in try update.start() where progress.phase == .train { break }
        var refused = 0
        while true {
            do {
                try update.add(language: "de", text: "w10", label: "on")
                break
            } catch PolygraftError.Code.updateState where refused < 6000 {
                refused += 1
                try await Task.sleep(nanoseconds: 10_000_000)
            }
        }
    }

    func testAFailureOfTheLibrary() async throws {
        let (model, _) = try open()
        let run = try Update(model: model, task: "light").start()
        do {
            for try await _ in run {}
            XCTFail("an update without examples runs")
        } catch PolygraftError.Code.updateNoExamples {
        }
        do {
            _ = try await run.report
            XCTFail("an update without examples runs")
        } catch PolygraftError.Code.updateNoExamples {
        }
    }

    func testPredictionsGoOnMeanwhile() async throws {
        let (model, _) = try open(store: "encoder-store")
        let run = try endless(model).start()
        for try await progress in run where progress.phase == .train { break }
        for _ in 1...10 {
            let found = try model.predict(task: "intent", language: "de", text: "w14 w66 w42")
            XCTAssertEqual(found.labels.first?.name, "on")
        }
        run.cancel()
    }

    func testEvaluatingAndImporting() async throws {
        let (model, _) = try open(store: "encoder-store")
        let examples = try Examples(path: Fixture.path("examples/intent-asked.jsonl"))
        let found = try await model.evaluate(task: "intent", examples: examples)
        XCTAssertEqual(found.languages.map(\.language), ["de", "en"])
        let file = free("adapter")
        try model.exportAdapter(task: "intent", language: "de", path: file)
        let imported = try await model.importAdapter(task: "intent", language: "de", path: file)
        XCTAssertEqual(imported.version, 3)
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await model.evaluate(task: "intent", examples: examples)
        }
        task.cancel()
        let result = await task.result
        XCTAssertThrowsError(try result.get()) { XCTAssertTrue($0 is CancellationError, "\($0)") }
    }
}
