//! Tokens of the API: good from when they are made until they end or are revoked, and known by their hashes alone.

use std::time::Duration;

use chrono::TimeDelta;
use seedbed::catalog::{CatalogError, NewToken, Role};
use seedbed_protocol::digest::sha256_hex;

use crate::cluster::catalog::fixture::Fixture;

on_both!(
    a_token_is_good_until_it_ends_or_is_revoked_and_the_catalog_has_its_hash_alone,
    a_token_goes_with_the_one_that_it_was_made_with,
    a_last_use_is_written_once_a_minute,
    who_is_no_administrator_sees_and_revokes_what_that_one_has_made,
);

fn new(name: &str) -> NewToken {
    NewToken {
        name: name.to_owned(),
        role: Role::Operator,
        made_by: "ann".to_owned(),
        made_with: None,
        lifetime: Some(Duration::from_secs(3_600)),
    }
}

async fn a_token_is_good_until_it_ends_or_is_revoked_and_the_catalog_has_its_hash_alone(
    fixture: Fixture,
) {
    let catalog = &fixture.catalog;
    assert!(!catalog.has_tokens().await.unwrap());
    let (made, token) = catalog.create_token(&new("ci")).await.unwrap();
    // 256 bits in base64url.
    assert_eq!(token.expose().len(), "seedbed_".len() + 43);
    let other = fixture.another().await;
    let known = other.token(token.expose()).await.unwrap().unwrap();
    assert_eq!((&known, known.role), (&made, Role::Operator));
    let hashes: Vec<String> = fixture.lines("SELECT hash FROM api_tokens").await;
    assert_eq!(hashes, [sha256_hex(token.expose())]);
    for wrong in [
        "",
        "seedbed_",
        &token.expose()[..50],
        &format!("{}A", token.expose()),
        &hashes[0],
        "\0",
    ] {
        assert_eq!(catalog.token(wrong).await.unwrap(), None, "{wrong}");
    }
    let taken = catalog.create_token(&new("ci")).await.unwrap_err();
    assert!(matches!(taken, CatalogError::TokenExists { .. }), "{taken}");
    for name in ["", " ci", "a\nb", "a\u{202e}b", &"x".repeat(65)] {
        let refused = catalog.create_token(&new(name)).await.unwrap_err();
        assert!(
            matches!(refused, CatalogError::TokenName { .. }),
            "{name:?}: {refused}"
        );
    }
    assert_eq!(catalog.revoke_token("ci", None).await.unwrap(), 1);
    assert_eq!(other.token(token.expose()).await.unwrap(), None);
    assert!(!other.is_token_good(&made.id).await.unwrap());
    let again = catalog.revoke_token("ci", None).await.unwrap_err();
    assert!(
        matches!(again, CatalogError::UnknownToken { .. }),
        "{again}"
    );
    // Its name is free again, and so is that of one that has expired.
    for _ in 0..2 {
        let (_, token) = catalog.create_token(&new("ci")).await.unwrap();
        assert!(catalog.token(token.expose()).await.unwrap().is_some());
        fixture
            .execute("UPDATE api_tokens SET expires_at = 1")
            .await;
        assert_eq!(catalog.token(token.expose()).await.unwrap(), None);
    }
    let endless = NewToken {
        lifetime: None,
        ..new("endless")
    };
    let (endless, _) = catalog.create_token(&endless).await.unwrap();
    assert_eq!(endless.expires_at, None);
    assert!(catalog.has_tokens().await.unwrap());
    assert_eq!(catalog.tokens(None).await.unwrap().len(), 4);
}

async fn a_token_goes_with_the_one_that_it_was_made_with(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let (first, _) = catalog.create_token(&new("first")).await.unwrap();
    let with = |name: &str, maker: &str| NewToken {
        made_with: Some(maker.to_owned()),
        lifetime: None,
        ..new(name)
    };
    let (second, _) = catalog
        .create_token(&with("second", &first.id))
        .await
        .unwrap();
    assert_eq!(second.expires_at, first.expires_at, "and not for longer");
    let (third, token) = catalog
        .create_token(&with("third", &second.id))
        .await
        .unwrap();
    let (apart, _) = catalog.create_token(&new("apart")).await.unwrap();
    assert_eq!(catalog.revoke_token(&first.id, None).await.unwrap(), 3);
    assert_eq!(catalog.token(token.expose()).await.unwrap(), None);
    assert!(!catalog.is_token_good(&third.id).await.unwrap());
    assert!(catalog.is_token_good(&apart.id).await.unwrap());
    let refused = catalog.create_token(&with("fourth", &third.id)).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, CatalogError::UnknownToken { .. }),
        "{refused}"
    );
}

async fn a_last_use_is_written_once_a_minute(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let (_, token) = catalog.create_token(&new("ci")).await.unwrap();
    let known = async || catalog.token(token.expose()).await.unwrap().unwrap();
    let unused = known().await;
    catalog.token_was_used(&unused).await.unwrap();
    let used = known().await;
    let first = used.last_used_at.unwrap();
    // By whatever a process believes.
    for of in [&unused, &used] {
        catalog.token_was_used(of).await.unwrap();
    }
    assert_eq!(known().await.last_used_at, Some(first));
    let before = first - TimeDelta::seconds(61);
    let earlier = before.timestamp_millis();
    fixture
        .execute(&format!("UPDATE api_tokens SET last_used_at = {earlier}"))
        .await;
    catalog.token_was_used(&known().await).await.unwrap();
    assert!(known().await.last_used_at.unwrap() >= first);
}

async fn who_is_no_administrator_sees_and_revokes_what_that_one_has_made(fixture: Fixture) {
    let catalog = &fixture.catalog;
    catalog.create_token(&new("of ann")).await.unwrap();
    let of_bob = NewToken {
        made_by: "bob".to_owned(),
        ..new("of bob")
    };
    catalog.create_token(&of_bob).await.unwrap();
    let seen = catalog.tokens(Some("bob")).await.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].name, "of bob");
    let refused = catalog.revoke_token("of ann", Some("bob")).await;
    assert!(matches!(refused, Err(CatalogError::UnknownToken { .. })));
    assert_eq!(
        catalog.revoke_token("of bob", Some("bob")).await.unwrap(),
        1
    );
}
