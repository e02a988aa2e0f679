// Ship installs a base adapter, rolls back, and forgets a person's examples.
//
//     ship BUNDLE STORE export LANGUAGE FILE   # what the maker ships
//     ship BUNDLE STORE install FILE           # on a device, for all languages
//     ship BUNDLE STORE roll-back LANGUAGE
//     ship BUNDLE STORE wipe LANGUAGE

import Foundation
import Opened
import Polygraft

let usage =
    "ship BUNDLE STORE (export LANGUAGE FILE | install FILE | roll-back LANGUAGE | wipe LANGUAGE)"

/// The gate activates a base adapter, unless the device has something better.
func install(_ opened: Opened, _ path: String) async throws {
    let imported = try await opened.model.importAdapter(
        task: "light", language: "mul", path: path)
    print("version \(imported.version), active \(imported.isActivated)")
}

/// Goes back to the version before, and no update changes that until it is unpinned.
func rollBack(_ store: Store, _ language: String) throws {
    guard let number = try store.rollBack(task: "light", language: language) else {
        return print("\(language) has no version any more")
    }
    try store.pin(task: "light", language: language)
    print("\(language) is back on version \(number)")
}

/// Also removes the versions that may have learnt from what is wiped.
func wipe(_ store: Store, _ language: String) throws {
    for version in try store.versions(task: "light") where version.isPinned {
        try store.unpin(task: "light", language: version.language)
    }
    let wiped = try store.wipe(task: "light", language: language, retire: true)
    print("\(wiped.learnt.count) versions are gone")
}

await program(usage, arguments: 4...5) { arguments in
    let opened = try Opened(bundle: arguments[0], store: arguments[1])
    switch (arguments[2], arguments.count) {
    case ("export", 5):
        try opened.model.exportAdapter(task: "light", language: arguments[3], path: arguments[4])
    case ("install", 4): try await install(opened, arguments[3])
    case ("roll-back", 4): try rollBack(opened.store, arguments[3])
    case ("wipe", 4): try wipe(opened.store, arguments[3])
    default:
        say("usage: \(usage)\n")
        exit(2)
    }
    for version in try opened.store.versions(task: "light") {
        print(
            "  \(version.language) \(version.number)",
            "active \(version.isActive) pinned \(version.isPinned)")
    }
}
