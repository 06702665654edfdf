//! What a name that nobody knows was probably meant to be.

/// Returns a sentence with the nearest of `allowed`, which are full names such as `worker.slots`, or with all of
/// `otherwise`. `shown` writes a name as the reader would have to.
pub(in crate::settings) fn advice(
    name: &str,
    allowed: &[String],
    otherwise: &[&str],
    shown: impl Fn(&str) -> String,
) -> String {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let patience = (name.chars().count() / 4).clamp(1, 3);
    let nearest = allowed.iter().min_by_key(|other| edits(name, other));
    if let Some(nearest) = nearest.filter(|nearest| edits(name, nearest) <= patience) {
        return format!("did you mean {}?", shown(nearest));
    }
    let elsewhere = allowed.iter().filter(|other| last(other) == last(name));
    let elsewhere: Vec<String> = elsewhere.map(|other| shown(other)).collect();
    if !elsewhere.is_empty() {
        return format!("did you mean {}?", elsewhere.join(" or "));
    }
    format!("there are {}", otherwise.join(", "))
}

/// Returns the Levenshtein distance: letters to insert, remove or replace.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_near_by_then_in_other_sections() {
        let allowed = [
            "worker.slots",
            "log.level",
            "token.secret",
            "download.secret",
        ];
        let allowed = allowed.map(str::to_owned);
        let said = |name: &str| advice(name, &allowed, &["worker", "log"], str::to_uppercase);
        assert_eq!(said("worker.slot"), "did you mean WORKER.SLOTS?");
        assert_eq!(said("log_level"), "did you mean LOG.LEVEL?");
        assert_eq!(
            said("catalog.secret"),
            "did you mean TOKEN.SECRET or DOWNLOAD.SECRET?"
        );
        assert_eq!(said("carrier.pigeon"), "there are worker, log");
    }
}
