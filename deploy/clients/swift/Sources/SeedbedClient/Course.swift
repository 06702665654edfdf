import Foundation

/// What an app and a report are told about a launch: the stage it is in, and what has come of it. One launch uses it, one call at a time.
final class Course: @unchecked Sendable {
    var outcome = LaunchOutcome()
    private let onProgress: (@Sendable (LaunchProgress) -> Void)?
    private var stage: LaunchStage?
    private var since = Date()

    init(_ onProgress: (@Sendable (LaunchProgress) -> Void)?) {
        self.onProgress = onProgress
    }

    /// A launch that has ended so.
    func end(_ result: LaunchResult, _ reason: Reason? = nil) {
        outcome.result = result
        outcome.reason = reason
    }

    /// The next stage; nil when the launch ends.
    func enter(_ next: LaunchStage?, bytes: Int64 = 0, total: Int64? = nil) {
        let now = Date()
        if let stage { outcome.seconds[stage, default: 0] += max(0, now.timeIntervalSince(since)) }
        stage = next
        since = now
        tell(bytes, total)
    }

    func tell(_ bytes: Int64, _ total: Int64?) {
        if let stage { onProgress?(LaunchProgress(stage: stage, bytes: bytes, total: total)) }
    }
}
