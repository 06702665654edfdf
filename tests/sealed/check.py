"""Opens a sealed file with the library that its format is of, as a device does, and compares it with the plain one.

    check.py sqlcipher4|chacha20 SEALED KEY PLAIN TEXT

KEY is what GET /database answers; TEXT is in a row. Ends with an error at the first thing that is not as it should be.
Everything is written beside SEALED.
"""

import pathlib
import shutil
import sqlite3
import sys

PAGE = 4096
DEVICE_KEY = "a key of the device"


def open_sqlcipher4(path, key):
    import sqlcipher3

    connection = sqlcipher3.connect(str(path), isolation_level=None)
    connection.execute(f'PRAGMA key = "{key}"')
    return connection, sqlcipher3.DatabaseError


def open_chacha20(path, key):
    import apsw

    connection = apsw.Connection(str(path))
    connection.pragma("cipher", "chacha20")
    connection.pragma("key", key)
    return connection, apsw.Error


OPEN = {"sqlcipher4": open_sqlcipher4, "chacha20": open_chacha20}
RAW_KEY = {"sqlcipher4": "x'{}'", "chacha20": "raw:{}"}


def contents(connection):
    """Every row of every table, and what else is in the schema."""
    schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    rows = {}
    for kind, name, _, sql in schema:
        if kind == "table" and not sql.upper().startswith("CREATE VIRTUAL"):
            quoted = name.replace('"', '""')
            found = connection.execute(f'SELECT * FROM "{quoted}"').fetchall()
            rows[name] = sorted(map(repr, found))
    return sorted(map(repr, schema)), rows


def refused(encoding, path, key):
    connection, error = OPEN[encoding](path, key)
    try:
        contents(connection)
    except error:
        return True
    finally:
        connection.close()
    return False


def integrity(encoding, connection):
    found = [row[0] for row in connection.execute("PRAGMA integrity_check").fetchall()]
    assert found == ["ok"], found
    if encoding == "sqlcipher4":
        found = connection.execute("PRAGMA cipher_integrity_check").fetchall()
        assert found == [], found


def flipped(sealed, at):
    """A copy in which one bit differs."""
    copy = sealed.with_name("flipped")
    content = bytearray(sealed.read_bytes())
    content[at] ^= 1
    copy.write_bytes(content)
    return copy


def main(encoding, sealed, key, plain, text):
    sealed, plain, text = pathlib.Path(sealed), pathlib.Path(plain), text.encode()
    raw_key = RAW_KEY[encoding].format(key)
    assert text in plain.read_bytes(), "the text is in the plain file"
    assert text not in sealed.read_bytes(), "the text is in the sealed file"

    connection, _ = OPEN[encoding](sealed, raw_key)
    expected = contents(sqlite3.connect(plain))
    found = contents(connection)
    assert found == expected, "the rows differ"
    integrity(encoding, connection)
    connection.close()

    other = RAW_KEY[encoding].format(key[::-1])
    assert refused(encoding, sealed, other), "another key opens it"
    assert refused(encoding, sealed, DEVICE_KEY), "a passphrase opens it"
    pages = sealed.stat().st_size // PAGE
    for page in {0, 1, pages // 2, pages - 1}:
        # The text, the nonce, the tag.
        for at in (1000, PAGE - 80, PAGE - 1):
            copy = flipped(sealed, page * PAGE + at)
            if encoding == "sqlcipher4" and page > 0:
                connection, _ = OPEN[encoding](copy, raw_key)
                damaged = connection.execute("PRAGMA cipher_integrity_check").fetchall()
                assert damaged == [(f"HMAC verification failed for page {page + 1}",)], damaged
                connection.close()
            elif page in (0, 1):
                # In any other the damage is found when the page is read.
                assert refused(encoding, copy, raw_key), f"byte {at} of page {page + 1}"

    device = sealed.with_name("device.sqlite")
    shutil.copy(sealed, device)
    connection, _ = OPEN[encoding](device, raw_key)
    if encoding == "sqlcipher4":
        connection.execute(f'PRAGMA rekey = "{DEVICE_KEY}"')
    else:
        connection.pragma("rekey", DEVICE_KEY)
    assert contents(connection) == expected, "the rows differ once it has another key"
    connection.execute("CREATE TABLE written (by TEXT)")
    connection.execute("DROP TABLE written")
    connection.close()
    assert refused(encoding, device, raw_key), "the old key still opens it"
    connection, _ = OPEN[encoding](device, DEVICE_KEY)
    assert contents(connection) == expected, "the rows differ after it was opened again"
    integrity(encoding, connection)
    connection.close()
    for file in sealed.parent.iterdir():
        assert file == plain or text not in file.read_bytes(), f"the text is in {file.name}"


main(*sys.argv[1:])
