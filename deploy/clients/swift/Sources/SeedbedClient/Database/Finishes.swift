import Foundation

/// The newest version of finishing that this package has.
let newestFinish = 1

/// A way to finish a compact file.
struct FinishVersion: Decodable {
    /// Those of the core extension with which it was tested.
    let coreVersions: Set<String>

    /// In order, in one transaction.
    let steps: [FinishStep]

    private enum CodingKeys: String, CodingKey {
        case coreVersions = "core_versions"
        case steps
    }

    /// Nil if the package has no such version.
    static func of(_ version: Int?) throws -> FinishVersion? {
        version == 1 ? try JSONDecoder().decode(FinishVersion.self, from: Data(finishV1.utf8)) : nil
    }
}

struct FinishStep: Decodable {
    let name: String
    let sql: String?

    /// What is bound, in order: `schema` is the app's, as JSON.
    let parameters: [String]?

    /// What the statement has to return.
    let returns: Int64?

    /// In place of `sql`: asks a fresh database of the same core for the statements to run.
    let ofCore: String?

    private enum CodingKeys: String, CodingKey {
        case name, sql, parameters, returns
        case ofCore = "of_core"
    }
}
