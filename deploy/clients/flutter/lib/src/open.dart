import 'dart:async';
import 'dart:convert';

import 'package:logging/logging.dart';
import 'package:powersync/powersync.dart';
import 'package:sqlite_async/sqlite_async.dart';

import 'cancellation.dart';
import 'database/record.dart';
import 'launch.dart';
import 'platform/paths.dart';
import 'reason.dart';
import 'report.dart';
import 'source.dart';
import 'stream/stream_launch.dart';

/// A file that an older package has placed has none, and the core extension makes one only when it creates `ps_kv`: every connection
/// would fail with "No client_id found in ps_kv" (`kv.rs` of powersync-sqlite-core 0.5.4).
const _insertClientId = "INSERT OR IGNORE INTO ps_kv (key, value) VALUES ('client_id', uuid())";

/// Opens the database, after installing the store's snapshot if there is none yet, or one that never completed a sync and has nothing of
/// its own. It is ready to read, and not connected: `connect` then downloads what has changed since the snapshot. Without a snapshot,
/// for any reason, the database is empty and `connect` does the normal initial sync; the reason is logged
/// ([SnapshotSource.whenUnavailable] says otherwise).
///
/// The parameters are those of `PowerSyncDatabase(…)`, and [source]. Each store and account needs a file of its own. With [encryption]
/// the form is stream, whatever is asked for. Throws a [SeedbedException] as `whenUnavailable` says, if the database is another
/// store's, and if it is cancelled.
Future<PowerSyncDatabase> openSeeded({
  required Schema schema,
  required String path,
  required SnapshotSource source,
  SqliteOptions sqliteOptions = powerSyncDefaultSqliteOptions,
  EncryptionOptions? encryption,
  Logger? logger,
  Cancellation? cancel,
}) async {
  // Its own: a time limit must not end what the app may use again.
  final ending = Cancellation();
  if (cancel != null) unawaited(cancel.unless(Completer<void>().future).catchError((Object error) => ending.end(error as SeedbedException)));
  final limit = source.timeLimit;
  final timer = limit == null ? null : Timer(limit, () => ending.end(SeedbedException(Reason.stalled, 'it took longer than $limit (timeout)')));
  final launch = Launch(encryption, path, jsonEncode(schema), source, ending);
  PowerSyncDatabase open() =>
      PowerSyncDatabase(schema: schema, path: path, sqliteOptions: sqliteOptions, encryption: encryption, logger: logger);
  try {
    final streams = source.form == SnapshotForm.stream || encryption != null;
    return await _openAfter(launch, path, source, ending, streams: streams, open: open);
  } catch (error) {
    if (ending.isCancelled && error is SeedbedException) launch.course.end(LaunchResult.failed, error.reason);
    rethrow;
  } finally {
    timer?.cancel();
    source.onOutcome?.call(launch.course.outcome);
    unawaited(report(source, launch.course.outcome));
  }
}

/// Runs the launch, and opens the database with the SDK. Rules 9 and 10 of CONTRACT.md.
Future<PowerSyncDatabase> _openAfter(
  Launch launch,
  String path,
  SnapshotSource source,
  Cancellation cancel, {
  required bool streams,
  required PowerSyncDatabase Function() open,
}) async {
  PowerSyncDatabase? db;
  try {
    var failure = streams ? null : await launch.run();
    try {
      db = await _initialized(open());
    } catch (error) {
      // A file that was there before may hold what its user has written. One that was installed just now does not.
      if (launch.course.outcome.result != LaunchResult.installed) rethrow;
      failure = SeedbedException.of(error, Reason.notOpenable, 'the SDK cannot open the snapshot');
      removeDatabase(path);
      final fails = source.whenUnavailable == WhenUnavailable.fail;
      launch.course.end(fails ? LaunchResult.failed : LaunchResult.sync, failure.reason);
      if (fails) throw failure;
      db = await _initialized(open());
    }
    await db.execute(_insertClientId);
    if (streams) failure = await StreamLaunch(db, source, launch.course, launch.record, cancel).run();
    await db.execute(insertRecord, [recordKey, jsonEncode(launch.record.toJson())]);
    if (failure != null) db.logger.warning('starting without a snapshot', failure);
    return db;
  } catch (_) {
    await db?.close();
    rethrow;
  } finally {
    launch.end();
  }
}

Future<PowerSyncDatabase> _initialized(PowerSyncDatabase db) async {
  try {
    await db.initialize();
    return db;
  } catch (_) {
    // `close` of the SDK throws what `initialize` has thrown, before it closes anything.
    await db.database.close();
    rethrow;
  }
}
