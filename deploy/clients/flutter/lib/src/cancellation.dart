import 'dart:async';

import 'reason.dart';

/// Ends a launch within a second. What has been downloaded stays for the next one.
final class Cancellation {
  final _ended = Completer<SeedbedException>();

  bool get isCancelled => _ended.isCompleted;

  void cancel() => end(const SeedbedException(Reason.cancelled, 'the launch was cancelled'));

  /// The first error is the one that counts.
  void end(SeedbedException error) {
    if (!_ended.isCompleted) _ended.complete(error);
  }

  /// Throws if it is cancelled.
  Future<void> check() async {
    if (isCancelled) throw await _ended.future;
  }

  /// The result of [work], or the error of a cancellation, whichever is first. What [work] does afterwards is nobody's.
  Future<T> unless<T>(Future<T> work) async {
    // Nobody waits for it any more when it fails late.
    work.ignore();
    return Future.any([work, _ended.future.then<T>((error) => throw error)]);
  }

  Future<void> pause(Duration time) => unless(Future<void>.delayed(time));
}
