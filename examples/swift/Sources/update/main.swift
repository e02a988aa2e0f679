// Update teaches the task light the examples of a file. Ctrl-C cancels; nothing has changed then.
//
//     update BUNDLE STORE EXAMPLES [STEPS_MAX]
//
// A line of EXAMPLES is {"lang": "de", "text": "Licht an", "label": "on"}.

import Foundation
import Opened
import Polygraft

await program("update BUNDLE STORE EXAMPLES [STEPS_MAX]", arguments: 3...4) { arguments in
    let opened = try Opened(bundle: arguments[0], store: arguments[1])
    var options = try UpdateOptions()
    options.newLabels = true
    options.stepsMax = arguments.count > 3 ? Int(arguments[3]) ?? 0 : 0
    let update = try Update(model: opened.model, task: "light", options: options)
    try update.add(Examples(path: arguments[2]))

    let run = try update.start()
    signal(SIGINT, SIG_IGN)
    let interrupt = DispatchSource.makeSignalSource(signal: SIGINT)
    interrupt.setEventHandler { run.cancel() }
    interrupt.resume()
    do {
        for try await progress in run {
            say("\r\(Int(100 * progress.fraction)) % \(progress.phase)          ")
        }
        _ = try await run.report
    } catch is CancellationError {
        say("\ninterrupted: nothing has changed\n")
        exit(1)
    }
    let report = try update.commit()  // activates every language that did not get worse
    say("\n")
    for entry in report.languages {
        print("\(entry.language) version \(entry.version ?? 0): \(entry.reason)")
    }
}
