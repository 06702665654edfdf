import 'reason.dart';
import 'source.dart';

/// What an app and a report are told about a launch: the stage it is in, and what has come of it.
final class Course {
  final void Function(LaunchProgress progress)? _onProgress;
  final outcome = LaunchOutcome();
  final _since = Stopwatch();
  LaunchStage? _stage;

  Course(this._onProgress);

  /// A launch that has ended so.
  void end(LaunchResult result, [Reason? reason]) {
    outcome.result = result;
    outcome.reason = reason;
  }

  /// The next stage; null when the launch ends.
  void enter(LaunchStage? next, {int bytes = 0, int? total}) {
    final last = _stage;
    if (last != null) outcome.seconds[last] = (outcome.seconds[last] ?? 0) + _since.elapsedMicroseconds / 1e6;
    _stage = next;
    _since
      ..reset()
      ..start();
    tell(bytes, total);
  }

  void tell(int bytes, int? total) {
    final stage = _stage;
    if (stage != null) _onProgress?.call((stage: stage, bytes: bytes, total: total));
  }
}
