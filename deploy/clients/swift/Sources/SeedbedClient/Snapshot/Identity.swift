import Foundation

/// Refuses what is not for this app, before anything is downloaded. Rule 5 of CONTRACT.md.
func requireIdentity(_ body: [String: Any], _ rendition: Rendition, _ source: SnapshotSource, _ core: String) throws {
    if let store = body["storeId"] as? String, store != source.storeId { throw SeedbedError(.wrongStore, "the snapshot is of another store") }
    if let its = service(of: body["serviceEndpoint"] as? String), let own = service(of: source.endpoint), its != own {
        throw SeedbedError(.wrongService, "the snapshot is of \(its), and the app connects to \(own)")
    }
    if let generation = body["generation"] as? String, let wanted = source.generation, generation != wanted {
        throw SeedbedError(.wrongGeneration, "the snapshot is of generation \(generation), not \(wanted)")
    }
    try requireFresh(body, source.maxAge)
    if let its = body["coreVersion"] as? String, isNewer(its, than: core) {
        throw SeedbedError(.newerCore, "the snapshot is of core \(its), and the SDK has \(core)")
    }
    if rendition.form == .compact, try FinishVersion.of(rendition.finish) == nil {
        throw SeedbedError(.unknownFinish, "the snapshot needs version \(rendition.finish ?? 0) of finishing, and this package has \(newestFinish)")
    }
}

private func requireFresh(_ body: [String: Any], _ maxAge: TimeInterval?) throws {
    guard let since = date(body["verifiedAt"] as? String ?? body["createdAt"] as? String) else { return }
    let age = Date().timeIntervalSince(since)
    for case let limit? in [maxAge, (body["maxAge"] as? NSNumber)?.doubleValue] where age > limit {
        throw SeedbedError(.tooOld, "the snapshot was verified \(Int(age)) s ago, and may be \(Int(limit)) s old")
    }
}

/// Of RFC 3339; nil if it is none.
func date(_ text: String?) -> Date? {
    guard let text else { return nil }
    let format = ISO8601DateFormatter()
    // The formatter takes fractions of three digits only.
    return format.date(from: text.replacingOccurrences(of: #"\.\d+"#, with: "", options: .regularExpression))
}

/// Whether a version `1.2.3` is newer than another.
func isNewer(_ version: String, than other: String) -> Bool {
    func numbers(_ text: String) -> [Int] {
        text.split { !$0.isNumber }.prefix(3).map { Int($0) ?? 0 }
    }
    for (one, another) in zip(numbers(version), numbers(other)) where one != another { return one > another }
    return false
}
