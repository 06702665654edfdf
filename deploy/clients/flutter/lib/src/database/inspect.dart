import 'dart:io';

import 'package:sqlite3/sqlite3.dart';

import '../platform/paths.dart';
import '../reason.dart';
import 'record.dart';
import 'sqlite.dart';

/// Whether the database that is there may be replaced, and whose it is. Rules 1 and 2 of CONTRACT.md. `kept` says why it must not be.
typedef Inspection = ({Reason? kept, Record? record});

/// PowerSync's own, up to schema version 14 (`migrations.rs` of powersync-sqlite-core 0.5.4).
const _internal = {
  'ps_migration',
  'ps_untyped',
  'ps_crud',
  'ps_tx',
  'ps_kv',
  'ps_buckets',
  'ps_oplog',
  'ps_updated_rows',
  'ps_stream_subscriptions',
  'ps_sync_state',
};

/// Looks at the database, if there is one.
Inspection inspect(Sqlite sqlite, String database) {
  if (!File(database).existsSync()) return (kept: null, record: null);
  Database? db;
  try {
    db = sqlite.open(database);
    return _inspect(db);
  } catch (error) {
    return (kept: isBusy(error) ? Reason.inUse : Reason.unreadable, record: null);
  } finally {
    db?.close();
  }
}

/// Puts the staged file where the database is, unless that must be kept: then the answer says why.
Reason? install(Sqlite sqlite, Paths paths) {
  if (!File(paths.database).existsSync()) {
    removeCompanions(paths.database);
    return _place(paths);
  }
  Database? db;
  try {
    db = sqlite.open(paths.database);
    final kept = _replaceableUnderLock(db);
    if (kept != null) return kept;
    if (closeFirst) {
      db.close();
      db = null;
    }
    removeCompanions(paths.database);
    File(paths.staged).renameSync(paths.database);
    return null;
  } catch (error) {
    if (isBusy(error)) return Reason.inUse;
    rethrow;
  } finally {
    db?.close();
  }
}

/// `dart:io` has neither hard links nor a rename that does not replace: a file that is created exclusively says whose the place is.
Reason? _place(Paths paths) {
  try {
    File(paths.database).createSync(exclusive: true);
  } on FileSystemException {
    if (File(paths.database).existsSync()) return Reason.inUse;
    rethrow;
  }
  File(paths.staged).renameSync(paths.database);
  return null;
}

/// Takes the lock that no other open connection holds along with it, and inspects. The lock stays until the connection is closed.
Reason? _replaceableUnderLock(Database db) {
  // Refused while any other connection is open, idle ones included. It has to be set before anything is read.
  db.query('PRAGMA locking_mode = EXCLUSIVE');
  db.execute('BEGIN EXCLUSIVE');
  final kept = _inspect(db).kept;
  db.execute('ROLLBACK');
  // With a WAL, closing would remove a file by its name, and that name will be the new database's.
  if (kept == null) db.query('PRAGMA journal_mode = DELETE');
  return kept;
}

Inspection _inspect(Database db) {
  final tables = _tablesOf(db);
  return (kept: _keptFor(db, tables), record: tables.contains('ps_kv') ? Record.inDatabase(db) : null);
}

Reason? _keptFor(Database db, Set<String> tables) {
  bool has(String table, [String where = '']) => tables.contains(table) && _hasRow(db, table, where);
  if (has('ps_sync_state') || has('ps_kv', "WHERE key = 'last_synced_at'")) return Reason.synced;
  if (has('ps_crud')) return Reason.localWrites;
  if (has('ps_untyped') || tables.any((it) => !_internal.contains(it) && has(it))) return Reason.localRows;
  return has('ps_oplog') && _wasComplete(db) ? Reason.clearedSoftly : null;
}

/// Every table that holds rows of its own: neither SQLite's nor the shadow of a virtual one, whose rows are not the user's.
Set<String> _tablesOf(Database db) => {
      for (final row in db.query("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') "
          r"AND name NOT LIKE 'sqlite\_%' ESCAPE '\'"))
        row.first! as String,
    };

bool _hasRow(Database db, String table, String where) =>
    db.number('SELECT EXISTS (SELECT 1 FROM "${table.replaceAll('"', '""')}" $where)') == 1;

/// Whether a bucket had once all of a checkpoint: then its operations were kept on purpose. A soft clear leaves `count_at_last`; a first
/// download that broke off has 0.
bool _wasComplete(Database db) {
  final columns = db.query("SELECT name FROM pragma_table_info('ps_buckets')").map((row) => row.first);
  return !columns.contains('count_at_last') || _hasRow(db, 'ps_buckets', 'WHERE count_at_last > 0');
}
