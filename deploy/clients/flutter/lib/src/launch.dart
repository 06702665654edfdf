import 'dart:isolate';

import 'package:powersync/powersync.dart';

import 'cancellation.dart';
import 'course.dart';
import 'database/finish.dart';
import 'database/inspect.dart';
import 'database/launch_lock.dart';
import 'database/record.dart';
import 'database/sqlite.dart';
import 'platform/paths.dart';
import 'reason.dart';
import 'snapshot/note.dart';
import 'snapshot/rendition.dart';
import 'snapshot/staging.dart';
import 'source.dart';

/// A first launch from a snapshot. The states are those of CONTRACT.md; each method is one, and names what a process leaves that is
/// killed in it.
final class Launch {
  final Sqlite _sqlite;
  final Paths _paths;

  /// The app's, as JSON.
  final String _schema;
  final SnapshotSource _source;
  final Cancellation _cancel;
  final Record record;
  final Course course;
  LaunchLock? _lock;

  Launch(EncryptionOptions? encryption, String database, this._schema, this._source, this._cancel)
      : _sqlite = Sqlite(encryption),
        _paths = Paths(database),
        record = Record(_source.storeId, serviceOf(_source.endpoint), _source.account),
        course = Course(_source.onProgress);

  /// Pauses of `wait`: the first is a sixth of the silence limit, 5 seconds; the longest twice the limit, a minute.
  static const first = 6;
  static const longest = 2;

  /// Puts the snapshot where the SDK will open the database, if what is there may be replaced. The answer says why there is none; null
  /// if there is, or if the database is kept.
  Future<SeedbedException?> run() async {
    try {
      final kept = look().kept;
      // In use for a moment: another launch is about to replace it.
      if (kept != null && kept != Reason.inUse && !_paths.isUnderWay) return _keep(kept);
      course.enter(LaunchStage.waiting);
      return await _locked();
    } catch (error) {
      await _cancel.check();
      final known = SeedbedException.of(error, Reason.notOpenable, 'the launch failed');
      // A directory that is missing, or not writable: what the SDK says about it is what the app wants to know.
      if (known.reason != Reason.wrongStore && _source.whenUnavailable == WhenUnavailable.sync) return _unavailable(known);
      course.end(LaunchResult.failed, known.reason);
      throw known;
    } finally {
      course.enter(null);
    }
  }

  /// Lets other launches go on: once the database is open, since the SDK's first statements wait for no lock.
  void end() {
    _lock?.release();
    _lock = null;
  }

  /// INSPECT: leaves the database as it was.
  Inspection look() {
    final inspection = inspect(_sqlite, _paths.database);
    final its = inspection.record;
    if (inspection.kept != null && its != null && !its.isSameStore(record)) {
      throw SeedbedException(
          Reason.wrongStore, 'the database is of store ${its.store}: give each store and account a file name of its own');
    }
    return inspection;
  }

  /// LOCKED: leaves an empty lock file.
  Future<SeedbedException?> _locked() async {
    final lock = _lock = await LaunchLock.take(_sqlite, _paths.lock, _cancel);
    course.outcome.core = lock.core;
    var wait = _source.silenceLimit ~/ first;
    while (true) {
      // Another launch may have installed one in the meantime.
      final kept = look().kept;
      if (kept != null) {
        _paths.removeLeftovers();
        return _keep(kept);
      }
      try {
        await _attempt();
        return null;
      } catch (error) {
        await _cancel.check();
        final known = SeedbedException.of(error, Reason.notOpenable, 'no snapshot');
        if (_source.whenUnavailable == WhenUnavailable.sync) return _unavailable(known);
        // What lasts is not worth keeping the bytes for.
        if (known.reason.lasts) _paths.removeLeftovers();
        if (_source.whenUnavailable == WhenUnavailable.fail || known.reason.lasts) throw known;
        course.enter(LaunchStage.waiting);
        await _cancel.pause(known.retryAfter ?? wait);
        final most = _source.silenceLimit * longest;
        wait = wait * 2 < most ? wait * 2 : most;
      }
    }
  }

  SeedbedException? _keep(Reason reason) {
    course.end(LaunchResult.kept, reason);
    return null;
  }

  /// UNAVAILABLE: leaves less and less of the launch's files.
  SeedbedException _unavailable(SeedbedException error) {
    try {
      _paths.removeLeftovers();
    } catch (_) {
      // The next launch removes them.
    }
    course.end(LaunchResult.sync, error.reason);
    return error;
  }

  /// From a question to an installed database.
  Future<void> _attempt() async {
    final note = Note.read(_paths);
    final rendition = await Staging(_paths, _source, course, record, note, _cancel).run();
    course.outcome.form = rendition.form;
    course.outcome.encoding = rendition.encoding;
    course.enter(LaunchStage.finishing);
    try {
      await _finish(rendition);
    } on SeedbedException {
      _paths.removeLeftovers();
      rethrow;
    }
    await _cancel.check();
    syncFile(_paths.staged);
    final kept = install(_sqlite, _paths);
    if (kept != null) {
      _paths.removeLeftovers();
      _keep(kept);
      return;
    }
    note.remove();
    course.end(LaunchResult.installed);
  }

  /// FINISHING: leaves the staged file, finished or not. In another isolate: it takes seconds, and the app has a screen to draw.
  Future<void> _finish(Rendition rendition) {
    final finish = Finish(
      sqlite: _sqlite,
      compact: rendition.form == SnapshotForm.compact,
      version: rendition.finish,
      record: record,
      schema: _schema,
      prepare: _source.prepare,
    );
    final staged = _paths.staged;
    return _inIsolate(finish, staged);
  }
}

/// On its own, so that the closure holds nothing that cannot be sent.
Future<void> _inIsolate(Finish finish, String staged) => Isolate.run(() => finish.run(staged));
