import 'dart:async';

import 'package:powersync/powersync.dart';

import '../cancellation.dart';
import '../course.dart';
import '../database/record.dart';
import '../reason.dart';
import '../source.dart';
import 'device.dart';
import 'start.dart';
import 'watch.dart';

/// A first launch in the stream form: the SDK itself takes the first sync from Seedbed, before the app has the database.
final class StreamLaunch {
  final PowerSyncDatabase _db;
  final SnapshotSource _source;
  final Course _course;
  final Record _record;
  final Cancellation _cancel;

  StreamLaunch(this._db, this._source, this._course, this._record, this._cancel);

  /// The pause of the SDK between two connections is this part of the silence limit: a second.
  static const _pauses = 30;

  /// Brings the first sync into the open database, if it has none; the answer says why it is not there.
  Future<SeedbedException?> run() async {
    try {
      final row = await _db.getOptional('SELECT value FROM ps_kv WHERE key = ?', [recordKey]);
      final its = Record.parse(row?['value']);
      if (its != null && !its.isSameStore(_record)) {
        throw SeedbedException(
            Reason.wrongStore, 'the database is of store ${its.store}: give each store and account a file name of its own');
      }
      final device = await readDevice(_db);
      if (device.writes || device.synced) {
        _course.end(LaunchResult.kept, device.writes ? Reason.localWrites : Reason.synced);
        return null;
      }
      return await _patiently();
    } on SeedbedException catch (error) {
      _course.end(LaunchResult.failed, error.reason);
      rethrow;
    } finally {
      _course.enter(null);
    }
  }

  Future<SeedbedException?> _patiently() async {
    var wait = _source.silenceLimit ~/ 6;
    while (true) {
      try {
        await _take();
        _course.outcome.form = SnapshotForm.stream;
        _course.end(LaunchResult.installed);
        return null;
      } catch (error) {
        await _cancel.check();
        final known = SeedbedException.of(error, Reason.cut, 'no stream');
        if (_source.whenUnavailable == WhenUnavailable.sync) {
          // Positions that have arrived stay: `connect` goes on with them.
          _course.end(LaunchResult.sync, known.reason);
          return known;
        }
        if (_source.whenUnavailable == WhenUnavailable.fail || known.reason.lasts) throw known;
        _course.enter(LaunchStage.waiting);
        await _cancel.pause(wait);
        final most = _source.silenceLimit * 2;
        wait = wait * 2 < most ? wait * 2 : most;
      }
    }
  }

  Future<void> _take() async {
    _course.enter(LaunchStage.waiting);
    await _source.subscribe?.call(_db);
    final String token;
    try {
      token = await _source.getToken();
    } catch (error) {
      throw SeedbedException.of(error, Reason.noToken, 'the app has no token');
    }
    final device = await readDevice(_db);
    final asked = askStart(_source.url, storeId: _source.storeId, token: token, generation: device.generation, limit: _source.silenceLimit);
    final start = await _cancel.unless(asked);
    final endpoint = start.endpoint;
    if (endpoint == null) throw SeedbedException(start.reason, 'Seedbed has no stream for the device: ${start.why}');
    _course.enter(LaunchStage.downloading);
    final ended = Completer<Never>();
    // It may fail when nobody waits any more.
    ended.future.ignore();
    void late() {
      if (!ended.isCompleted) ended.completeError(const SeedbedException(Reason.stalled, 'the stream brought nothing, or was refused'));
    }

    final watch = Watch(_db, _source.silenceLimit, late, _course.tell);
    try {
      await _db.connect(
        connector: _Once('$endpoint', _source.getToken, late),
        options: SyncOptions(retryDelay: _source.silenceLimit ~/ _pauses),
      );
      await _cancel.unless(Future.any([_db.waitForFirstSync(), ended.future]));
    } finally {
      watch.end();
      await _db.disconnect();
    }
  }
}

/// The SDK asks again when it was refused: then there is nothing more from Seedbed.
class _Once extends PowerSyncBackendConnector {
  final String _endpoint;
  final Future<String> Function() _getToken;
  final void Function() _again;
  var _asked = 0;

  _Once(this._endpoint, this._getToken, this._again);

  @override
  Future<PowerSyncCredentials?> fetchCredentials() async {
    if (++_asked > 1) _again();
    return PowerSyncCredentials(endpoint: _endpoint, token: await _getToken());
  }

  /// Nobody has the database yet; what there is stays for the app's own connector.
  @override
  Future<void> uploadData(PowerSyncDatabase database) => throw StateError('the first sync is not over');
}
