//! What makes the tags of a source's entries.

use std::sync::Arc;

use ingest_mux::Tags;

use crate::config::SourceKind;
use crate::template::Maker;

/// The maker for a source. One that was there before goes on if it says the same, with what it has
/// made and counted.
pub(super) fn maker(
    kind: &SourceKind,
    before: Option<Arc<Maker>>,
    tags: Tags,
) -> Option<Arc<Maker>> {
    let (template, most) = kind.template()?;
    let same = |had: &Arc<Maker>| had.template() == template && had.most() == most;
    if let Some(before) = before.filter(same) {
        return Some(before);
    }
    let maker = Maker::new(template.clone(), most, move |name| match tags.number(name) {
        Ok(number) => Some(number),
        Err(error) => {
            tracing::error!(%error, "A tag could not be made.");
            None
        }
    });
    Some(Arc::new(maker))
}
