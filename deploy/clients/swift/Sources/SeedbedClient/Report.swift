import Foundation

/// Of this package: a test compares it with the change log.
let version = "0.1.0"

/// Sends an anonymous line about a first launch, if the app wants it. Rule 13 of CONTRACT.md. It never fails: a report is worth nothing
/// to the app.
func report(_ source: SnapshotSource, _ outcome: LaunchOutcome) async {
    guard source.report, outcome.result != .kept, let slash = source.url.lastIndex(of: "/") else { return }
    // Offline, or a server without reports.
    try? await send(String(source.url[..<slash]) + "/reports", source, outcome)
}

private func send(_ url: String, _ source: SnapshotSource, _ outcome: LaunchOutcome) async throws {
    var request = URLRequest(url: try address(url, [("store_id", source.storeId)]))
    request.httpMethod = "POST"
    request.setValue("Bearer \(try await source.getToken())", forHTTPHeaderField: "Authorization")
    request.setValue("application/json", forHTTPHeaderField: "Content-Type")
    request.httpBody = try JSONSerialization.data(withJSONObject: content(outcome))
    let exchange = Exchange(request, silenceLimit: 5)
    defer { exchange.end() }
    _ = try await exchange.answer()
}

private func content(_ outcome: LaunchOutcome) -> [String: Any] {
    let null: Any = NSNull()
    return [
        "v": 1,
        // Random (version 4), by which the server knows a report that comes twice.
        "launch": UUID().uuidString.lowercased(),
        "outcome": outcome.reason == .cancelled ? "cancelled" : outcome.result.rawValue,
        "form": outcome.form.map { $0.rawValue as Any } ?? null,
        "encoding": outcome.encoding.map { $0.rawValue as Any } ?? null,
        "reason": outcome.reason.map { $0.rawValue as Any } ?? null,
        "bytes": outcome.bytes,
        "resumes": outcome.resumes,
        "seconds": Dictionary(uniqueKeysWithValues: outcome.seconds.map { ($0.key.rawValue, $0.value) }),
        "platform": "swift",
        "package": version,
        "core": outcome.core.map { $0 as Any } ?? null,
    ]
}
