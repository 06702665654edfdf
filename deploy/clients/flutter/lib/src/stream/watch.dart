import 'dart:async';

import 'package:powersync/powersync.dart';

/// SDKs keep their credentials until the server refuses them, so one that cannot reach Seedbed's stream would try it for ever. This says
/// so, when a connection has brought nothing for the silence limit. When all operations have arrived they are applied, and that says
/// nothing for as long as it takes.
final class Watch {
  final Duration _silenceLimit;
  final void Function() _giveUp;
  final void Function(int done, int total)? _onOperations;
  late final StreamSubscription<SyncStatus> _statuses;
  final DateTime? _before;
  Timer? _timer;
  var _most = 0;

  Watch(PowerSyncDatabase db, this._silenceLimit, this._giveUp, [this._onOperations]) : _before = db.currentStatus.lastSyncedAt {
    _statuses = db.statusStream.listen(_heard);
    _wait();
  }

  void _heard(SyncStatus status) {
    if (status.lastSyncedAt != _before) return end();
    final progress = status.downloadProgress;
    if (progress == null || progress.downloadedOperations <= _most) return;
    _most = progress.downloadedOperations;
    _onOperations?.call(_most, progress.totalOperations);
    _timer?.cancel();
    if (_most < progress.totalOperations) _wait();
  }

  void _wait() {
    _timer = Timer(_silenceLimit, () {
      end();
      _giveUp();
    });
  }

  void end() {
    _timer?.cancel();
    unawaited(_statuses.cancel());
  }
}
