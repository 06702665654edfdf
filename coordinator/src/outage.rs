//! Which errors of databases pass by themselves: of the catalog's, and of those with the list of stores.
//!
//! In: an error of sqlx. Out: whether the same call may succeed later, without any change. Keeps nothing.

/// Length of an error code of Postgres and MySQL. Those of SQLite are shorter numbers.
const SQLSTATE_CHARS: usize = 5;

/// What sqlx says of a Postgres, or of a proxy before it, that closes the connection before it answers whether it
/// speaks TLS: it reads no byte, and takes that for a zero.
const CLOSED_BEFORE_TLS: &str = "response from SSLRequest: 0x00";

/// Returns whether the same call may succeed later without a change to the settings.
pub(crate) fn passes(error: &sqlx::Error) -> bool {
    let Some(refused) = error.as_database_error() else {
        return match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
            sqlx::Error::Protocol(broken) => broken.contains(CLOSED_BEFORE_TLS),
            _ => false,
        };
    };
    let code = refused.code().unwrap_or_default();
    if code.len() == SQLSTATE_CHARS {
        // In this order: the connection failed, an idle transaction was ended, transactions conflict, resources are
        // short, a lock is not available, the server starts or stops.
        let passing = ["08", "25P03", "40", "53", "55P03", "57"];
        return passing.iter().any(|class| code.starts_with(class));
    }
    // The lowest byte of an extended code of SQLite: SQLITE_BUSY, _LOCKED, _NOMEM, _IOERR and _FULL.
    let code: Option<u32> = code.parse().ok();
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6 | 7 | 10 | 13))
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, PgConnection};
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    const SSL_REQUEST_BYTES: usize = 8;

    #[tokio::test]
    async fn a_postgres_that_closes_the_connection_at_once_may_come_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://{}/catalog", listener.local_addr().unwrap());
        let dying = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            // What was sent is read: a close is then an end, and no reset.
            connection
                .read_exact(&mut [0; SSL_REQUEST_BYTES])
                .await
                .unwrap();
        });
        let refused = PgConnection::connect(&url).await.unwrap_err();
        dying.await.unwrap();
        assert!(refused.to_string().contains(CLOSED_BEFORE_TLS), "{refused}");
        assert!(passes(&refused));
    }
}
