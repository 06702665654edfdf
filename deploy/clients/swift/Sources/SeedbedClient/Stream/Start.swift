import Foundation

/// `GET /start`: whether a store's stream can be had from Seedbed now. Rule 14 of CONTRACT.md.
struct Start: Sendable {
    /// For the SDK's credentials, if Seedbed has a stream for the device.
    var endpoint: String?

    /// In a word, for logs.
    let why: String

    /// Why it has not.
    var reason = Reason.noSnapshot

    /// Asks once, and answers whatever happens: without an answer, PowerSync is the place to go.
    static func ask(_ url: String, storeId: String, token: String, generation: String?, limit: TimeInterval) async -> Start {
        let endpoint = bare(url)
        do {
            let known = generation.map { [("generation", $0)] } ?? []
            var request = URLRequest(url: try address(endpoint + "/start", [("store_id", storeId)] + known))
            request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
            let exchange = Exchange(request, silenceLimit: limit)
            defer { exchange.end() }
            let answer = try await exchange.answer()
            return of(answer.statusCode, fields(of: try await exchange.text(limit: 64 * 1024)), endpoint)
        } catch {
            let known = SeedbedError.of(error, .offline, "no answer")
            return Start(why: known.message, reason: known.reason)
        }
    }

    private static func of(_ status: Int, _ body: [String: Any], _ endpoint: String) -> Start {
        let error = body["error"] as? String ?? ""
        if status != 200 { return Start(why: "\(status) \(error)", reason: SeedbedClient.reason(of: status, error)) }
        let why = body["why"] as? String ?? Reason.badAnswer.rawValue
        if body["from"] as? String != "seedbed" { return Start(why: why, reason: why == "snapshot_too_old" ? .tooOld : .noSnapshot) }
        return Start(endpoint: SeedbedClient.service(of: body["endpoint"] as? String) ?? endpoint, why: why)
    }

    /// Where Seedbed answers, without a path of its own: an SDK adds `/sync/stream`.
    private static func bare(_ url: String) -> String {
        url.replacingOccurrences(of: "/+(database/*)?$", with: "", options: .regularExpression)
            .replacingOccurrences(of: "/database$", with: "", options: .regularExpression)
    }
}
