//! `[admin]`, and the settings under Hydra's names.

use super::listen::{self, Listen};
use super::model::{AdminConfig, HydraConfig};
use super::values::set;
use super::walk::{Node, Table};

/// The settings, and the address where the file names one.
pub(super) fn read(table: Option<Table<'_>>) -> (AdminConfig, Listen<'_>) {
    let mut admin = AdminConfig::default();
    let Some(mut table) = table else { return (admin, Listen::DEFAULT) };
    set(&mut admin.enabled, table.key("enabled").and_then(|node| node.boolean()));
    let listen = listen::read(&mut table, &mut admin.listen, &mut admin.allow_public);
    let control = table.key("control");
    set(&mut admin.control, control.as_ref().and_then(Node::boolean));
    if let (Some(node), true) = (&control, admin.control) {
        node.warn("nothing can be controlled yet: this build of ingestry has no such page");
    }
    table.finish(super::load::HOMES);
    (admin, listen)
}

/// `hydra.ingest.websocket.enabled`.
pub(super) fn read_hydra(table: Option<Table<'_>>) -> HydraConfig {
    let mut hydra = HydraConfig::default();
    let Some(mut table) = table else { return hydra };
    if let Some(mut ingest) = table.sub_table("ingest") {
        if let Some(mut websocket) = ingest.sub_table("websocket") {
            let enabled = websocket.key("enabled").and_then(|node| node.boolean());
            set(&mut hydra.websocket_enabled, enabled);
            websocket.finish(&[]);
        }
        ingest.finish(&[]);
    }
    table.finish(&[]);
    hydra
}
