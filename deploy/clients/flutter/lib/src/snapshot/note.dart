import 'dart:convert';
import 'dart:io';

import '../database/record.dart';
import '../platform/paths.dart';
import 'rendition.dart';

/// What the part and the staged file are of, so that a later launch can go on with them: `app.db.seedbed.json`. A killed process leaves
/// the one before or the one after a change.
final class Note {
  final String _path;
  Rendition? _rendition;
  Record? _record;
  bool staged = false;
  String? etag;

  Note._(this._path);

  factory Note.read(Paths paths) {
    final note = Note._(paths.note);
    try {
      final fields = jsonDecode(File(paths.note).readAsStringSync()) as Map<String, dynamic>;
      if (fields['v'] != 1) return note;
      note._rendition = Rendition.of(fields['rendition'] as Map<String, dynamic>);
      note._record = Record.of(fields['record']);
      note.etag = fields.text('etag');
      // Killed before the part became the staged file.
      note.staged = fields['staged'] == true && File(paths.staged).existsSync();
    } on FileSystemException {
      note.forget();
    } on FormatException {
      note.forget();
    } on TypeError {
      // Not a note: the launch starts anew.
      note.forget();
    }
    return note;
  }

  /// Whether the bytes that are there are those of the rendition, for the same store.
  bool isOf(Rendition rendition, Record record) =>
      (_rendition?.isSameAs(rendition) ?? false) && (_record?.isSameStore(record) ?? false);

  /// Begins anew.
  void start(Rendition rendition, Record record) {
    forget();
    _rendition = rendition;
    _record = record;
    _write();
  }

  void setEtag(String value) {
    etag = value;
    _write();
  }

  void setStaged() {
    staged = true;
    _write();
  }

  /// The files it was about are gone.
  void forget() {
    _rendition = null;
    _record = null;
    staged = false;
    etag = null;
  }

  void remove() {
    forget();
    final file = File(_path);
    if (file.existsSync()) file.deleteSync();
  }

  void _write() {
    final fields = {'v': 1, 'rendition': _rendition?.toJson(), 'record': _record?.toJson(), 'staged': staged, 'etag': etag};
    writeWhole(_path, jsonEncode(fields));
  }
}
