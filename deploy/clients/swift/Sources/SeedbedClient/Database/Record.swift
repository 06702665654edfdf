import Foundation

/// Whose database it is.
struct Record: Sendable {
    /// Its key in `ps_kv`. A full clear of the database removes it, as it does with every key but `client_id`.
    static let key = "seedbed_store"

    /// Says whose database it is, if nothing says so yet.
    static let insert = "INSERT OR IGNORE INTO ps_kv (key, value) VALUES (?, ?)"

    let store: String
    var service: String?
    var account: String?

    /// Whether two can be of one database: what only one of them knows is not compared.
    func isSameStore(_ other: Record) -> Bool {
        func same(_ one: String?, _ another: String?) -> Bool {
            guard let one, let another, !one.isEmpty, !another.isEmpty else { return true }
            return one == another
        }
        return store == other.store && same(service, other.service) && same(account, other.account)
    }

    var json: [String: Any] {
        var json = ["store": store]
        json["service"] = service
        json["account"] = account
        return json
    }

    func text() throws -> String {
        String(decoding: try JSONSerialization.data(withJSONObject: json), as: UTF8.self)
    }

    /// Nil if it is none.
    static func of(_ json: Any?) -> Record? {
        guard let fields = json as? [String: Any], let store = fields["store"] as? String else { return nil }
        return Record(store: store, service: fields["service"] as? String, account: fields["account"] as? String)
    }

    /// Of the text in `ps_kv`.
    static func parse(_ text: String?) -> Record? {
        text.flatMap { of(fields(of: Data($0.utf8))) }
    }

    /// Nil if the database has none, or one that cannot be read.
    static func of(_ connection: Connection) throws -> Record? {
        parse(try connection.query("SELECT value FROM ps_kv WHERE key = ?", key).first?.first as? String)
    }
}

/// A service's URL as it is compared: `https://host:port/path`, without what URLs may have or not.
func service(of url: String?) -> String? {
    guard var bare = url?.trimmingCharacters(in: .whitespacesAndNewlines) else { return nil }
    while bare.hasSuffix("/") { bare.removeLast() }
    guard !bare.isEmpty, let origin = bare.range(of: "^[A-Za-z]+://[^/]+", options: .regularExpression) else { return bare.isEmpty ? nil : bare }
    return bare.replacingCharacters(in: origin, with: bare[origin].lowercased())
}
