import 'dart:convert';

import '../cancellation.dart';
import '../platform/exchange.dart';
import '../reason.dart';
import '../source.dart';
import 'identity.dart';
import 'rendition.dart';

/// What the answer says, as far as it is used. The URL is signed: anyone who has it can download the snapshot until it expires.
typedef Snapshot = ({Uri databaseUrl, Rendition rendition});

/// `GET /database`: which snapshot there is, and whether this app can use it. Rules 4 and 5 of CONTRACT.md.
final class Question {
  final SnapshotSource source;
  final SnapshotForm form;
  final List<Packing> encodings;

  /// The version of the SDK's core extension.
  final String core;

  const Question({required this.source, required this.form, required this.encodings, required this.core});

  static const _longestAnswer = 1024 * 1024;

  /// Asks once. 202, 429 and 503 are errors with `retryAfter`.
  Future<Snapshot> ask(Cancellation cancel) async {
    late SeedbedException refusal;
    for (final query in _queries()) {
      final (exchange, body) = await _send(query, cancel);
      if (exchange.status == 200) return _checked(body);
      refusal = _refusal(exchange, body);
      // 400: it does not know a parameter. 404: it has no such form or encoding; with another error, no snapshot at all.
      final older = exchange.status == 400 || (exchange.status == 404 && (body.text('error') ?? '').startsWith('no_such_'));
      if (!older) break;
    }
    throw refusal;
  }

  /// What to ask for, one after the other.
  Iterable<Map<String, String>> _queries() sync* {
    final encoding = encodings.map((it) => it.name).join(',');
    for (final form in {form, SnapshotForm.file}) {
      yield {'form': form.name, 'encoding': encoding, 'core': core};
    }
    yield {'encoding': Packing.identity.name};
  }

  Future<(Exchange, Map<String, dynamic>)> _send(Map<String, String> query, Cancellation cancel) async {
    final String token;
    try {
      token = await cancel.unless(source.getToken());
    } catch (error) {
      throw SeedbedException.of(error, Reason.noToken, 'the app has no token');
    }
    final url = Uri.parse(source.url);
    final asked = url.replace(queryParameters: {...url.queryParameters, 'store_id': source.storeId, ...query});
    try {
      final exchange = await Exchange.send(asked, {'authorization': 'Bearer $token'}, source.silenceLimit, cancel);
      try {
        return (exchange, parseObject(await exchange.text(_longestAnswer)));
      } finally {
        exchange.end();
      }
    } catch (error) {
      throw SeedbedException.of(error, Reason.offline, 'Seedbed does not answer');
    }
  }

  SeedbedException _refusal(Exchange exchange, Map<String, dynamic> body) {
    final error = body.text('error') ?? '';
    final message = 'no snapshot of the store: ${exchange.status} $error ${body.text('message') ?? ''}'.trimRight();
    final reason = reasonOf(exchange.status, error);
    final after = exchange.retryAfter;
    if (after == null || (reason != Reason.beingSeeded && reason != Reason.busy)) return SeedbedException(reason, message);
    const least = Duration(seconds: 1);
    return SeedbedException(reason, message, retryAfter: after < least ? least : after);
  }

  Snapshot _checked(Map<String, dynamic> body) {
    final url = Uri.tryParse(body.text('databaseUrl') ?? '');
    final rendition = Rendition.of(body);
    // Without these a damaged file would not be noticed.
    if (url == null || !(url.isScheme('https') || url.isScheme('http')) || rendition == null) {
      throw const SeedbedException(
          Reason.badAnswer, 'the answer names no snapshot that this package knows: is the URL that of GET /database?');
    }
    final asked = (rendition.form == SnapshotForm.file || rendition.form == form) &&
        (rendition.encoding == Packing.identity || encodings.contains(rendition.encoding));
    if (!asked) {
      throw SeedbedException(
          Reason.badAnswer, 'the answer has ${rendition.form.name}/${rendition.encoding.name}, which was not asked for');
    }
    requireIdentity(body, rendition, source, core);
    return (databaseUrl: url, rendition: rendition);
  }
}

/// What an answer of Seedbed's with such a status means.
Reason reasonOf(int status, String error) => switch (status) {
      202 => Reason.beingSeeded,
      429 || 503 => Reason.busy,
      401 => Reason.unauthorized,
      403 => error == 'downloads_disabled' ? Reason.downloadsDisabled : Reason.wrongStore,
      404 => error == 'snapshot_too_old' ? Reason.tooOld : Reason.noSnapshot,
      400 => Reason.badAnswer,
      _ => Reason.serverError,
    };

/// The object that an answer is; an empty one if it is none.
Map<String, dynamic> parseObject(String text) {
  try {
    return switch (jsonDecode(text)) { final Map<String, dynamic> fields => fields, _ => {} };
  } on FormatException {
    return {};
  }
}
