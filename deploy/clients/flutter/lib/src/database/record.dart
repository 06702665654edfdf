import 'dart:convert';

import 'package:sqlite3/sqlite3.dart';

import 'sqlite.dart';

/// The key of the record in `ps_kv`. A full clear of the database removes it, as it does with every key but `client_id`.
const recordKey = 'seedbed_store';

/// Says whose database it is, if nothing says so yet.
const insertRecord = 'INSERT OR IGNORE INTO ps_kv (key, value) VALUES (?, ?)';

/// Whose database it is.
final class Record {
  final String store;
  final String? service;
  final String? account;
  const Record(this.store, this.service, this.account);

  /// Whether two can be of one database: what only one of them knows is not compared.
  bool isSameStore(Record other) {
    bool same(String? one, String? another) => (one ?? '').isEmpty || (another ?? '').isEmpty || one == another;
    return store == other.store && same(service, other.service) && same(account, other.account);
  }

  Map<String, Object?> toJson() => {
        'store': store,
        if (service != null) 'service': service,
        if (account != null) 'account': account,
      };

  /// Null if it is none.
  static Record? of(Object? json) => switch (json) {
        {'store': final String store} => Record(store, _text(json['service']), _text(json['account'])),
        _ => null,
      };

  static String? _text(Object? value) => value is String ? value : null;

  /// Null if the database has none, or one that cannot be read.
  static Record? inDatabase(Database db) => parse(db.query('SELECT value FROM ps_kv WHERE key = ?', [recordKey]).firstOrNull?.first);

  /// Of the text in `ps_kv`.
  static Record? parse(Object? text) {
    try {
      return text is String ? of(jsonDecode(text)) : null;
    } on FormatException {
      return null;
    }
  }
}

/// A service's URL as it is compared: `https://host:port/path`, without what URLs may have or not.
String? serviceOf(String? url) {
  final bare = url?.trim().replaceFirst(RegExp(r'/+$'), '') ?? '';
  if (bare.isEmpty) return null;
  return bare.replaceFirstMapped(RegExp('^[a-z]+://[^/]+', caseSensitive: false), (it) => it[0]!.toLowerCase());
}
