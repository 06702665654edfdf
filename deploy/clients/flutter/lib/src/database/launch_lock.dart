import 'package:sqlite3/sqlite3.dart';

import '../cancellation.dart';
import '../platform/paths.dart';
import 'sqlite.dart';

/// One launch at a time for a database, in all processes. Rule 3 of CONTRACT.md. The system frees it when a process dies, and leaves
/// the empty file.
final class LaunchLock {
  final String _path;
  final Database _db;

  LaunchLock._(this._path, this._db);

  static const _again = Duration(milliseconds: 50);

  /// The version of the core extension, which the connection has anyway.
  late final String core = (_db.query('SELECT powersync_rs_version()').first.first! as String).split('/').first;

  /// Takes it, and waits for it.
  static Future<LaunchLock> take(Sqlite sqlite, String path, Cancellation cancel) async {
    while (true) {
      final taken = _tryToTake(sqlite, path);
      if (taken != null) return taken;
      await cancel.pause(_again);
    }
  }

  void release() {
    // While it is held, so that nobody else's is removed.
    if (!closeFirst) remove(_path);
    _db.close();
    if (!closeFirst) return;
    try {
      remove(_path);
    } catch (_) {
      // The next launch has it open already.
    }
  }

  static LaunchLock? _tryToTake(Sqlite sqlite, String path) {
    var held = _begin(sqlite, path);
    while (held != null) {
      // The one before may have removed the file that this connection has opened: then another file can be locked.
      final another = _begin(sqlite, path);
      if (another == null) return LaunchLock._(path, held);
      held.close();
      held = another;
    }
    return null;
  }

  /// Null if another connection has it.
  static Database? _begin(Sqlite sqlite, String path) {
    final db = sqlite.open(path);
    try {
      // Nothing is ever written: no file for a journal.
      db.query('PRAGMA journal_mode = MEMORY');
      db.execute('BEGIN EXCLUSIVE');
      return db;
    } catch (error) {
      db.close();
      if (isBusy(error)) return null;
      rethrow;
    }
  }
}
