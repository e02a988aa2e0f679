import CPolygraft
import Foundation
import XCTest

@testable import Polygraft

final class LibraryTests: PolygraftTestCase {
    func testVersionsAreStated() throws {
        XCTAssertTrue(Library.buildInfo.contains(Library.version))
        XCTAssertEqual(Library.version.split(separator: ".").count, 3)
        XCTAssertEqual(Library.abiVersion, Library.expectedABIVersion)
        XCTAssertTrue(try Fixture.engine.get().onnxRuntimeVersion.hasPrefix("1."))
    }

    func testAnErrorHasACodeANameAMessageAndCauses() throws {
        let failure = assertFails(.notFound) { try Model.verifyBundle(at: "/nowhere/bundle") }
        XCTAssertEqual(failure?.name, "io.not_found")
        XCTAssertEqual(failure?.code.name, "io.not_found")
        XCTAssertTrue(failure?.message.contains("/nowhere/bundle") ?? false)
        XCTAssertEqual(failure?.causes.joined(separator: ": "), failure?.message)
        XCTAssertEqual(failure?.localizedDescription, failure?.description)
        XCTAssertNotEqual(failure?.code, .cancelled)
        // A process has one ONNX Runtime.
        _ = try Fixture.engine.get()
        assertFails(.argumentInvalid) { try Engine(onnxRuntime: "/nowhere/libonnxruntime.so") }
    }

    func testACodeCatchesItsFailures() throws {
        do {
            _ = try Model.verifyBundle(at: free("nothing"))
            XCTFail("a bundle that is not there is verified")
        } catch PolygraftError.Code.cancelled {
            XCTFail("it is no cancellation")
        } catch PolygraftError.Code.bundleManifest, PolygraftError.Code.notFound {
        }
        XCTAssertEqual(PolygraftError.Code.storeNoVersion.description, "store.no_version")
    }

    func testWhatCCannotCarryIsRefused() throws {
        assertFails(.argumentInvalid) { try Store(path: "a\0b") }
        assertFails(.argumentInvalid) { try Examples(jsonLines: "\0") }
        assertFails(.argumentInvalid) { try Engine(onnxRuntime: "\0") }
        let (model, store) = try open()
        assertFails(.argumentInvalid) {
            try model.predict(task: "light", language: "de", text: "w10\0")
        }
        assertFails(.argumentInvalid) {
            try model.predict(task: "light", language: "de", texts: ["w10", "\0"])
        }
        assertFails(.argumentInvalid) {
            try model.predict(task: "light", language: "de", input: .words(["w10", "\0"]))
        }
        assertFails(.argumentInvalid) { try store.activate(task: "light", versions: ["\0": 1]) }
    }

    func testANumberOutOfRangeIsRefusedAndDoesNotTrap() throws {
        let (model, store) = try open()
        assertFails(.argumentInvalid) {
            try model.predict(task: "light", language: "de", text: "w10", topK: -1)
        }
        assertFails(.argumentInvalid) { try store.activate(task: "light", versions: ["de": -1]) }
        assertFails(.argumentInvalid) { try store.removeVersions(task: "light", keepLast: .min) }
        assertFails(.argumentInvalid) {
            try model.exportAdapter(task: "light", language: "de", version: .max, path: "nowhere")
        }
        var options = try UpdateOptions()
        options.threads = -1
        assertFails(.argumentInvalid) { try Update(model: model, task: "light", options: options) }
        options = try UpdateOptions()
        options.rehearsalHeldOutPercent = 300
        assertFails(.argumentInvalid) { try Update(model: model, task: "light", options: options) }
        options = try UpdateOptions()
        options.gateConfidence = .nan
        assertFails(.argumentInvalid) { try Update(model: model, task: "light", options: options) }
        var settings = Model.Options()
        settings.threads = 1 << 40
        assertFails(.argumentInvalid) {
            try Model(
                engine: Fixture.engine.get(), bundle: Fixture.path("encoder"), store: store,
                options: settings)
        }
        assertFails(.argumentInvalid) {
            try store.wipe(task: "light", addedBefore: Date(timeIntervalSince1970: .infinity))
        }
        assertFails(.argumentInvalid) {
            try store.wipe(task: "light", addedBefore: Date(timeIntervalSince1970: .nan))
        }
    }

    func testDefaultsAreTheLibrarys() throws {
        let options = try UpdateOptions()
        XCTAssertEqual(options.strategy, .uriel)
        XCTAssertTrue(options.gate && options.newLabels == false)
        XCTAssertGreaterThan(options.stepsMin, 0)
        XCTAssertEqual(try GenerateOptions().numBeams, 1)
        XCTAssertNil(try GenerateOptions().forcedBosTokenID)
        XCTAssertEqual(try ImportOptions().activation, .gated)
        // What the library's defaults say of the options that Swift states itself.
        let model = try defaults(polygraft_model_options()) {
            polygraft_model_options_init($0, $1, $2)
        }
        XCTAssertEqual(Model.Options().mode.rawValue, model.mode)
        XCTAssertEqual(Model.Options().verification.rawValue, model.verify)
        let diagnose = try defaults(polygraft_diagnose_options()) {
            polygraft_diagnose_options_init($0, $1, $2)
        }
        XCTAssertEqual(Model.Verification.full.rawValue, diagnose.verify)
        let export = try defaults(polygraft_export_options()) {
            polygraft_export_options_init($0, $1, $2)
        }
        XCTAssertEqual(ExportOptions().format.rawValue, export.format)
    }

    /// The options go to the library whole: what comes back of every field is what went in.
    func testOptionsAreWrittenAsTheyAreRead() throws {
        let given = try UpdateOptions.settings()
        let written = try Arguments.with { try UpdateOptions().filled($0) }
        let bytes = { (settings: polygraft_update_options) in
            withUnsafeBytes(of: settings) { Array($0) }
        }
        XCTAssertEqual(bytes(given), bytes(written))
    }

    func testConstantsHaveNames() throws {
        XCTAssertEqual(Model.Mode.fast.description, "fast")
        XCTAssertEqual(UpdateOptions.Strategy.perLanguage.description, "per-language")
        XCTAssertEqual(UpdateProgress.Phase.measureAfter.description, "measure after")
        XCTAssertEqual(UpdateProgress.Phase.allCases.map(\.rawValue), [0, 1, 2, 3])
        XCTAssertEqual("\(TaskKind(rawValue: 99))", "TaskKind(99)")
        XCTAssertLessThan(Severity.info, Severity.fatal)
    }

    /// The types of Foundation can still be used by their names.
    func testNoNameHidesOneOfFoundation() throws {
        let _: [Any.Type] = [Progress.self, Date.self, Bundle.self, Operation.self, Data.self]
    }

    func testTheLoggerHearsAndIsReleased() throws {
        let heard = Locked<[String]>([])
        final class Token: Sendable {}
        weak var released: Token?
        do {
            let token = Token()
            released = token
            let engine = try Engine(logFrom: .info) { severity, source, message in
                withExtendedLifetime(token) {
                    heard.with { $0.append("\(severity) \(source): \(message)") }
                }
            }
            let store = try Store(path: free("store"))
            try Model(engine: engine, bundle: Fixture.path("encoder"), store: store).close()
            engine.close()
            let before = heard.with { $0.count }
            assertFails(.argumentInvalid) {
                try Model(engine: engine, bundle: Fixture.path("encoder"), store: store)
            }
            XCTAssertEqual(heard.with { $0.count }, before, "a closed engine hears")
            engine.close()
        }
        XCTAssertFalse(heard.with { $0.isEmpty })
        XCTAssertNil(released)
    }
}
