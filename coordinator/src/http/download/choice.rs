//! Which rendition of a snapshot a client gets: the form that it asks for, in the first encoding that it can unpack.

use seedbed_protocol::manifest::{Encoding, Finishing, Form, Manifest, Rendition, RenditionKind};

use crate::http::problem::Problem;

/// What a client can use.
pub(super) struct Wanted {
    pub(super) form: Form,
    /// In order of preference; none for the plain object, or for the first if there is no plain one.
    pub(super) encodings: Vec<Encoding>,
    /// The version of its core extension, if it says so.
    pub(super) core: Option<String>,
}

impl Wanted {
    /// Returns the rendition that serves best. A form is never given for another one.
    pub(super) fn choose<'a>(&self, snapshot: &'a Manifest) -> Result<&'a Rendition, Problem> {
        let form = self.form;
        let name = form.name();
        if form == Form::Compact
            && let Some(core) = &self.core
            && !is_tested(core)
        {
            return Err(Problem::not_found(
                "no_such_form",
                format!(
                    "{name} is not tested with version {core:?} of the core extension; ask for another form"
                ),
            ));
        }
        let mut of_form = snapshot.all_renditions().filter(|r| r.form == form);
        let Some(first) = of_form.next() else {
            return Err(Problem::not_found(
                "no_such_form",
                format!(
                    "the snapshot does not come as {name} (snapshots.renditions); ask for another form"
                ),
            ));
        };
        let find = |&encoding: &Encoding| snapshot.rendition(RenditionKind { form, encoding });
        let found = match &self.encodings[..] {
            // Who does not name an encoding cannot open a sealed one.
            [] => find(&Encoding::Identity).or(Some(first).filter(|r| !r.kind().is_sealed())),
            wanted => wanted.iter().find_map(find),
        };
        found.ok_or_else(|| {
            Problem::not_found(
                "no_such_encoding",
                "the snapshot does not come in this encoding (snapshots.renditions); ask for another, or for none",
            )
        })
    }
}

/// Whether finishing was tested with a version of the core extension, such as `0.5.3` or `0.5.3/8f2a4bc1`.
fn is_tested(core: &str) -> bool {
    let (version, _commit) = core.split_once('/').unwrap_or((core, ""));
    let finishing = Finishing::current();
    finishing
        .core_versions
        .iter()
        .any(|tested| tested == version)
}
