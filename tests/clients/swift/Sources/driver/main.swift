// The package for Swift as the suite drives it: commands on standard input, answers on standard output, a line each.

import Foundation
import PowerSync
import SeedbedClient

let app = App()
// Not one after the other: `cancel` comes while `open` is at work.
while let line = readLine() {
    let fields = (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [String: Any] ?? [:]
    Task { await app.answer(fields) }
}
exit(0)
