import 'dart:io';

import 'package:crypto/crypto.dart';

import '../cancellation.dart';

/// Hexadecimal. Between two pieces the launch can be cancelled.
Future<String> sha256Of(String path, Cancellation cancel) async => '${await sha256.bind(_pieces(path, cancel)).single}';

/// Unpacks gzip into a new file of at most [limit] bytes, and brings that to the disk.
Future<void> gunzip(String from, String to, int limit, void Function(int bytes) onBytes, Cancellation cancel) async {
  var there = 0;
  final file = File(to).openSync(mode: FileMode.write);
  try {
    await for (final piece in _pieces(from, cancel).transform(gzip.decoder)) {
      there += piece.length;
      if (there > limit) throw FormatException('it has more than $limit bytes');
      file.writeFromSync(piece);
      onBytes(there);
    }
    file.flushSync();
  } finally {
    file.closeSync();
  }
}

Stream<List<int>> _pieces(String path, Cancellation cancel) async* {
  await for (final piece in File(path).openRead()) {
    await cancel.check();
    yield piece;
  }
}
