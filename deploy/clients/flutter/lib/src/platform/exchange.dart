import 'dart:async';
import 'dart:convert';
import 'dart:io';

import '../cancellation.dart';
import '../reason.dart';

/// One request. Nothing limits its time but silence.
final class Exchange {
  final HttpClient _client;
  final HttpClientResponse answer;
  final Duration _silenceLimit;
  final Cancellation _cancel;
  late final _body = StreamIterator<List<int>>(answer);

  Exchange._(this._client, this.answer, this._silenceLimit, this._cancel);

  /// Sends a request, and returns once the headers of the answer have come.
  static Future<Exchange> send(
    Uri url,
    Map<String, String> headers,
    Duration silenceLimit,
    Cancellation cancel, {
    String? body,
  }) async {
    // The bytes come as they are stored.
    final client = HttpClient()
      ..autoUncompress = false
      ..connectionTimeout = silenceLimit;
    try {
      final answer = await cancel.unless(_send(client, url, headers, body).timeout(silenceLimit, onTimeout: () => throw _silent(silenceLimit)));
      return Exchange._(client, answer, silenceLimit, cancel);
    } catch (_) {
      client.close(force: true);
      rethrow;
    }
  }

  /// `dart:io` leaves the authorization out of a redirect to another host by itself from Dart 2.16 on.
  static Future<HttpClientResponse> _send(HttpClient client, Uri url, Map<String, String> headers, String? body) async {
    final request = await client.openUrl(body == null ? 'GET' : 'POST', url);
    request.headers.set(HttpHeaders.acceptEncodingHeader, 'identity');
    headers.forEach(request.headers.set);
    if (body != null) request.add(utf8.encode(body));
    return request.close();
  }

  int get status => answer.statusCode;

  String? header(String name) => answer.headers.value(name);

  /// The next piece of the body; null at its end.
  Future<List<int>?> next() async {
    final more = _body.moveNext().timeout(_silenceLimit, onTimeout: () => throw _silent(_silenceLimit));
    return await _cancel.unless(more) ? _body.current : null;
  }

  /// All of the body, up to [limit] bytes.
  Future<String> text(int limit) async {
    final all = BytesBuilder(copy: false);
    while (all.length < limit) {
      final piece = await next();
      if (piece == null) break;
      all.add(piece);
    }
    return utf8.decode(all.takeBytes(), allowMalformed: true);
  }

  /// Nothing more is wanted: the connection ends.
  void end() => _client.close(force: true);

  /// How long the server wants to be left alone.
  Duration? get retryAfter {
    final seconds = double.tryParse(header(HttpHeaders.retryAfterHeader) ?? '');
    return seconds == null || seconds < 0 ? null : Duration(milliseconds: (seconds * 1000).round());
  }

  static SeedbedException _silent(Duration limit) =>
      SeedbedException(Reason.stalled, 'nothing came for ${limit.inMilliseconds / 1000} s (timeout)');
}
