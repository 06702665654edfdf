import 'dart:io';

/// The files of a launch, beside the database.
final class Paths {
  final String database;
  const Paths(this.database);

  String get note => '$database.seedbed.json';
  String get part => '$database.seedbed.part';
  String get staged => '$database.seedbed.db';
  String get lock => '$database.seedbed.lock';

  /// Whether there is anything of a launch: one that goes on, or one that was killed.
  bool get isUnderWay => [lock, note, part, staged].any((it) => File(it).existsSync());

  /// Removes whatever launches have left, but for the lock.
  void removeLeftovers() {
    remove(part);
    removeDatabase(staged);
    remove('$note.new');
    remove(note);
  }
}

/// Does nothing if there is no such file.
void remove(String path) {
  final file = File(path);
  if (file.existsSync()) file.deleteSync();
}

/// Removes a database with SQLite's other files.
void removeDatabase(String path) {
  remove(path);
  removeCompanions(path);
}

/// Removes what SQLite would take for the database's own: a WAL or journal that another one has left.
void removeCompanions(String path) {
  for (final suffix in ['-wal', '-shm', '-journal']) {
    remove('$path$suffix');
  }
}

/// An open file can be neither renamed over nor removed.
final closeFirst = Platform.isWindows;

/// Bytes; null if there is no such file.
int? sizeOf(String path) {
  final file = File(path);
  return file.existsSync() ? file.lengthSync() : null;
}

/// Replaces what is there as a whole.
void writeWhole(String path, String text) {
  File('$path.new').writeAsStringSync(text, flush: true);
  File('$path.new').renameSync(path);
}

/// Brings a file to the disk.
void syncFile(String path) {
  final file = File(path).openSync(mode: FileMode.append);
  try {
    file.flushSync();
  } finally {
    file.closeSync();
  }
}
