import Foundation

/// What the answer says, as far as it is used.
struct Snapshot: Sendable {
    /// Signed: anyone who has it can download the snapshot until it expires.
    let databaseUrl: URL
    let rendition: Rendition
}

/// `GET /database`: which snapshot there is, and whether this app can use it. Rules 4 and 5 of CONTRACT.md.
struct Question: Sendable {
    let source: SnapshotSource
    let form: SnapshotForm
    let encodings: [Packing]

    /// The version of the SDK's core extension.
    let core: String

    private static let longestAnswer = 1024 * 1024

    /// Asks once. 202, 429 and 503 are errors with `retryAfter`.
    func ask() async throws -> Snapshot {
        var refused = SeedbedError(.offline, "Seedbed does not answer")
        for query in queries() {
            let (answer, body) = try await send(query)
            if answer.statusCode == 200 { return try checked(body) }
            refused = refusal(answer, body)
            // 400: it does not know a parameter. 404: it has no such form or encoding; with another error, no snapshot at all.
            let error = body["error"] as? String ?? ""
            if answer.statusCode != 400, !(answer.statusCode == 404 && error.hasPrefix("no_such_")) { break }
        }
        throw refused
    }

    /// What to ask for, one after the other.
    private func queries() -> [[(String, String)]] {
        let encoding = encodings.map(\.rawValue).joined(separator: ",")
        let forms = form == .file ? [SnapshotForm.file] : [form, .file]
        return forms.map { [("form", $0.rawValue), ("encoding", encoding), ("core", core)] } + [[("encoding", Packing.identity.rawValue)]]
    }

    private func send(_ query: [(String, String)]) async throws -> (HTTPURLResponse, [String: Any]) {
        let token: String
        do {
            token = try await source.getToken()
        } catch {
            throw SeedbedError.of(error, .noToken, "the app has no token")
        }
        var request = URLRequest(url: try address(source.url, [("store_id", source.storeId)] + query))
        request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
        let exchange = Exchange(request, silenceLimit: source.silenceLimit)
        defer { exchange.end() }
        do {
            let answer = try await exchange.answer()
            return (answer, fields(of: try await exchange.text(limit: Self.longestAnswer)))
        } catch {
            throw SeedbedError.of(error, .offline, "Seedbed does not answer")
        }
    }

    private func refusal(_ answer: HTTPURLResponse, _ body: [String: Any]) -> SeedbedError {
        let error = body["error"] as? String ?? ""
        let message = "no snapshot of the store: \(answer.statusCode) \(error) \(body["message"] as? String ?? "")"
        let its = reason(of: answer.statusCode, error)
        let passes = its == .beingSeeded || its == .busy
        return SeedbedError(its, message, retryAfter: passes ? answer.retryAfter.map { max(1, $0) } : nil)
    }

    private func checked(_ body: [String: Any]) throws -> Snapshot {
        let url = (body["databaseUrl"] as? String).flatMap { URL(string: $0) }
        // Without these a damaged file would not be noticed.
        guard let url, ["https", "http"].contains(url.scheme?.lowercased()), let rendition = Rendition.of(body) else {
            throw SeedbedError(.badAnswer, "the answer names no snapshot that this package knows: is the URL that of GET /database?")
        }
        guard [form, .file].contains(rendition.form), (encodings + [.identity]).contains(rendition.encoding) else {
            throw SeedbedError(.badAnswer, "the answer has \(rendition.form)/\(rendition.encoding), which was not asked for")
        }
        try requireIdentity(body, rendition, source, core)
        return Snapshot(databaseUrl: url, rendition: rendition)
    }
}

/// What an answer of Seedbed's with such a status means.
func reason(of status: Int, _ error: String) -> Reason {
    switch status {
    case 202: return .beingSeeded
    case 429, 503: return .busy
    case 401: return .unauthorized
    case 403: return error == "downloads_disabled" ? .downloadsDisabled : .wrongStore
    case 404: return error == "snapshot_too_old" ? .tooOld : .noSnapshot
    case 400: return .badAnswer
    default: return .serverError
    }
}
