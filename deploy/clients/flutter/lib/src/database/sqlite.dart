import 'package:powersync/native.dart';
import 'package:powersync/powersync.dart';
import 'package:sqlite3/sqlite3.dart';

/// Bare connections, by the library that the SDK uses, so that both see each other's locks, with the core extension and the app's key.
/// They wait for no lock.
final class Sqlite {
  final EncryptionOptions? encryption;
  const Sqlite(this.encryption);

  /// Opens or creates a database.
  Database open(String path) {
    // Has the core extension loaded into every connection of the process.
    NativePowerSyncOpenFactory(path: path).enableExtension();
    final db = sqlite3.open(path);
    try {
      for (final statement in encryption?.pragmaStatements() ?? const <String>[]) {
        db.execute(statement);
      }
      db.execute('PRAGMA busy_timeout = 0');
      return db;
    } catch (_) {
      db.close();
      rethrow;
    }
  }
}

extension Ask on Database {
  /// The rows, each as a list of texts, integers and nulls.
  List<List<Object?>> query(String sql, [List<Object?> parameters = const []]) => select(sql, parameters).rows;

  /// The number in the first column of the first row; null if there is none.
  int? number(String sql) => query(sql).firstOrNull?.first as int?;
}

/// Whether another connection is in the way. `SQLITE_BUSY`, `SQLITE_LOCKED`.
bool isBusy(Object error) => error is SqliteException && (error.resultCode == 5 || error.resultCode == 6);
