import 'dart:convert';

import 'package:sqlite3/sqlite3.dart';

import '../reason.dart';
import 'finishes.dart';
import 'record.dart';
import 'sqlite.dart';

/// Makes a database of a staged file, in one transaction. Rule 8 of CONTRACT.md. It is sent to another isolate, and works there.
///
/// A process that is killed leaves it finished or as it was: SQLite's journal decides when it is opened again.
final class Finish {
  final Sqlite sqlite;
  final bool compact;

  /// Of finishing, for a compact file.
  final int? version;
  final Record record;

  /// The app's, as JSON.
  final String schema;

  /// Makes the app's raw tables.
  final void Function(Database db)? prepare;

  const Finish({
    required this.sqlite,
    required this.compact,
    required this.version,
    required this.record,
    required this.schema,
    required this.prepare,
  });

  /// Finishes the staged file, unless it is. Throws `newerCore`, `notOpenable`, `diskFull`.
  void run(String staged) {
    Database? db;
    try {
      db = sqlite.open(staged);
      // One file, so that the rename takes all of it.
      db.query('PRAGMA journal_mode = DELETE');
      db.execute('BEGIN IMMEDIATE');
      // An error needs no ROLLBACK: closing is one.
      _migrate(db);
      if (db.query('SELECT 1 FROM ps_kv WHERE key = ?', [recordKey]).isEmpty) _complete(db);
      db.execute('COMMIT');
    } catch (error) {
      throw SeedbedException.of(error, Reason.notOpenable, 'the snapshot cannot be finished');
    } finally {
      db?.close();
    }
  }

  /// Migrates up; or down, by what the newer core has left for that, and then refuses the file.
  void _migrate(Database db) {
    int schemaVersion() => db.number('SELECT max(id) FROM ps_migration') ?? 0;
    final before = schemaVersion();
    var after = 0;
    try {
      db.query('SELECT powersync_init()');
      after = schemaVersion();
    } on SqliteException catch (error) {
      // There is no way down.
      if (!'$error'.toLowerCase().contains('down migration')) rethrow;
    }
    if (after < before) throw SeedbedException(Reason.newerCore, "the snapshot has schema $before, which is newer than the SDK's");
  }

  void _complete(Database db) {
    db.execute(r"DELETE FROM ps_kv WHERE key LIKE '%\_checkpoint\_request\_id' ESCAPE '\'");
    // Two clients must never share one: the service tells them apart by it.
    db.execute("INSERT OR REPLACE INTO ps_kv (key, value) VALUES ('client_id', uuid())");
    if (compact) {
      prepare?.call(db);
      db.query('SELECT powersync_replace_schema(?)', [schema]);
      for (final step in FinishVersion.all[version]!.steps) {
        _take(db, step);
      }
    }
    _require(db.number('SELECT EXISTS (SELECT 1 FROM ps_sync_state)') == 1, 'the core extension does not accept its checkpoint');
    _require(db.number('SELECT EXISTS (SELECT 1 FROM ps_crud)') == 0, 'it has local writes');
    db.execute(insertRecord, [recordKey, jsonEncode(record.toJson())]);
  }

  void _take(Database db, FinishStep step) {
    final question = step.ofCore;
    if (question != null) _askCore(question).forEach(db.execute);
    final sql = step.sql;
    if (sql == null) return;
    final returned = db.query(sql, [if (step.takesSchema) schema]).firstOrNull?.first;
    _require(step.returns == null || returned == step.returns, 'the step ${step.name} returned $returned in place of ${step.returns}');
  }

  /// What this core extension would make itself.
  List<String> _askCore(String question) {
    final fresh = const Sqlite(null).open(':memory:');
    try {
      fresh.execute('BEGIN');
      fresh.query('SELECT powersync_init()');
      return [for (final row in fresh.query(question)) row.first! as String];
    } finally {
      fresh.close();
    }
  }

  static void _require(bool holds, String otherwise) {
    if (!holds) throw SeedbedException(Reason.notOpenable, otherwise);
  }
}
