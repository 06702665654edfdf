/// Why a launch does not use a snapshot: fixed words, for apps, logs and reports.
enum Reason {
  // Why the database that is there is used as it is.
  synced('synced'),
  localWrites('local_writes'),
  localRows('local_rows'),
  clearedSoftly('cleared_softly'),
  unreadable('unreadable'),
  inUse('in_use'),

  // Why no snapshot was installed.
  offline('offline'),
  noToken('no_token'),
  unauthorized('unauthorized', lasts: true),
  wrongStore('wrong_store', lasts: true),
  downloadsDisabled('downloads_disabled', lasts: true),
  noSnapshot('no_snapshot'),
  tooOld('too_old'),
  busy('busy'),
  beingSeeded('being_seeded'),
  serverError('server_error'),
  badAnswer('bad_answer', lasts: true),
  wrongService('wrong_service', lasts: true),
  wrongGeneration('wrong_generation', lasts: true),
  newerCore('newer_core', lasts: true),
  unknownFinish('unknown_finish', lasts: true),
  encrypted('encrypted', lasts: true),
  diskFull('disk_full'),
  stalled('stalled'),
  cut('cut'),
  expired('expired'),
  corrupt('corrupt'),
  notOpenable('not_openable', lasts: true),
  cancelled('cancelled', lasts: true);

  const Reason(this.code, {this.lasts = false});

  /// As in logs, reports and the other packages.
  final String code;

  /// Whether asking again changes nothing until a person, or another version of the app, does.
  final bool lasts;
}

/// A first launch without a snapshot. The message is for logs, and has neither a token nor a signed URL in it.
final class SeedbedException implements Exception {
  final Reason reason;
  final String message;

  /// How long the server wants to be left alone, if it says so.
  final Duration? retryAfter;

  const SeedbedException(this.reason, this.message, {this.retryAfter});

  /// Makes one of whatever was thrown; [reason] is what it is if nothing is known about it.
  factory SeedbedException.of(Object error, Reason reason, String what) {
    if (error is SeedbedException) return error;
    final text = '$error';
    if (_full.hasMatch(text)) return SeedbedException(Reason.diskFull, '$what: the disk is full');
    return SeedbedException(reason, '$what: ${text.replaceAll(_url, 'URL')}');
  }

  static final _full = RegExp('no space left|disk is full|not enough space|ENOSPC|disk quota', caseSensitive: false);

  /// Errors of `dart:io` name the URL, which may be signed.
  static final _url = RegExp(r'https?://\S+');

  @override
  String toString() => '${reason.code}: $message';
}
