import '../source.dart';

/// What identifies the bytes of a rendition, and what is needed to make a database of them. It is kept in the note.
final class Rendition {
  final SnapshotForm form;
  final Packing encoding;
  final int bytes;

  /// Hexadecimal, over the bytes as they are stored.
  final String sha256;
  final int? unpackedBytes;
  final String? unpackedSha256;

  /// The version of finishing, for a compact file.
  final int? finish;

  Rendition._(this.form, this.encoding, this.bytes, this.sha256, this.unpackedBytes, this.unpackedSha256, this.finish);

  bool isSameAs(Rendition other) => sha256 == other.sha256 && bytes == other.bytes && form == other.form;

  Map<String, Object?> toJson() => {
        'form': form.name,
        'encoding': encoding.name,
        'bytes': bytes,
        'sha256': sha256,
        'unpackedBytes': unpackedBytes,
        'unpackedSha256': unpackedSha256,
        'finish': finish,
      };

  static final _sha256 = RegExp(r'^[0-9a-f]{64}$', caseSensitive: false);

  /// Null if a field is missing, or is not what it should be.
  static Rendition? of(Map<String, dynamic> fields) {
    final form = switch (fields['form']) { null || 'file' => SnapshotForm.file, 'compact' => SnapshotForm.compact, _ => null };
    final encoding = switch (fields['encoding']) { null || 'identity' => Packing.identity, 'gzip' => Packing.gzip, _ => null };
    final bytes = fields['bytes'];
    final sha256 = fields['sha256'];
    if (form == null || encoding == null || bytes is! int || bytes < 0 || sha256 is! String || !_sha256.hasMatch(sha256)) return null;
    return Rendition._(
      form,
      encoding,
      bytes,
      sha256.toLowerCase(),
      fields.number('unpackedBytes')?.toInt(),
      fields.text('unpackedSha256')?.toLowerCase(),
      form == SnapshotForm.compact ? fields.number('finish')?.toInt() : null,
    );
  }
}

/// Fields of an answer, which may be anything.
extension Fields on Map<String, dynamic> {
  String? text(String name) => switch (this[name]) { final String value => value, _ => null };
  num? number(String name) => switch (this[name]) { final num value => value, _ => null };
}
