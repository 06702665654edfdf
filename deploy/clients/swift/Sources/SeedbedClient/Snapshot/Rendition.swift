import Foundation

/// What identifies the bytes of a rendition, and what is needed to make a database of them. It is kept in the note.
struct Rendition: Sendable {
    let form: SnapshotForm
    let encoding: Packing
    let bytes: Int64

    /// Hexadecimal, over the bytes as they are stored.
    let sha256: String
    let unpackedBytes: Int64?
    let unpackedSha256: String?

    /// The version of finishing, for a compact file.
    let finish: Int?

    func isSameAs(_ other: Rendition) -> Bool {
        sha256 == other.sha256 && bytes == other.bytes && form == other.form
    }

    var json: [String: Any] {
        var json: [String: Any] = ["form": form.rawValue, "encoding": encoding.rawValue, "bytes": bytes, "sha256": sha256]
        json["unpackedBytes"] = unpackedBytes
        json["unpackedSha256"] = unpackedSha256
        json["finish"] = finish
        return json
    }

    /// Nil if a field is missing, or is not what it should be.
    static func of(_ fields: [String: Any]) -> Rendition? {
        let form = SnapshotForm(rawValue: fields["form"] as? String ?? "file")
        let encoding = Packing(rawValue: fields["encoding"] as? String ?? "identity")
        guard let form, let encoding, form != .stream, let bytes = (fields["bytes"] as? NSNumber)?.int64Value, bytes >= 0 else { return nil }
        guard let sha256 = fields["sha256"] as? String, sha256.range(of: "^[0-9A-Fa-f]{64}$", options: .regularExpression) != nil else { return nil }
        return Rendition(
            form: form,
            encoding: encoding,
            bytes: bytes,
            sha256: sha256.lowercased(),
            unpackedBytes: (fields["unpackedBytes"] as? NSNumber)?.int64Value,
            unpackedSha256: (fields["unpackedSha256"] as? String)?.lowercased(),
            finish: form == .compact ? (fields["finish"] as? NSNumber)?.intValue : nil
        )
    }
}
