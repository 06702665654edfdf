import Foundation

/// What the part and the staged file are of, so that a later launch can go on with them: `app.db.seedbed.json`. A killed process leaves
/// the one before or the one after a change.
final class Note: @unchecked Sendable {
    private let path: String
    private var rendition: Rendition?
    private var record: Record?
    private(set) var staged = false
    private(set) var etag: String?

    init(reading paths: Paths) {
        path = paths.note
        // None, or none that can be read: the launch starts anew.
        guard let content = try? Data(contentsOf: URL(fileURLWithPath: path)) else { return }
        let json = fields(of: content)
        guard json["v"] as? Int == 1, let its = json["rendition"] as? [String: Any] else { return }
        rendition = Rendition.of(its)
        record = Record.of(json["record"])
        etag = json["etag"] as? String
        // Killed before the part became the staged file.
        staged = json["staged"] as? Bool == true && Files.size(paths.staged) != nil
    }

    /// Whether the bytes that are there are those of the rendition, for the same store.
    func isOf(_ wanted: Rendition, _ by: Record) -> Bool {
        guard let rendition, let record else { return false }
        return rendition.isSameAs(wanted) && record.isSameStore(by)
    }

    /// Begins anew.
    func start(_ of: Rendition, _ by: Record) throws {
        forget()
        rendition = of
        record = by
        try write()
    }

    func setEtag(_ value: String) throws {
        etag = value
        try write()
    }

    func setStaged() throws {
        staged = true
        try write()
    }

    /// The files it was about are gone.
    func forget() {
        rendition = nil
        record = nil
        staged = false
        etag = nil
    }

    func remove() throws {
        forget()
        try Files.remove(path)
    }

    private func write() throws {
        var json: [String: Any] = ["v": 1, "staged": staged]
        json["rendition"] = rendition?.json
        json["record"] = record?.json
        json["etag"] = etag
        try Files.write(path, try JSONSerialization.data(withJSONObject: json))
    }
}
