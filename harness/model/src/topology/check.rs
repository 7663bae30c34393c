//! What must hold in a topology file beyond its types.
//!
//! Whether an image, a table or a path in a service exists is found out when a trial starts, not here.

mod broker;
mod demand;
mod effects;
mod ops;
mod services;

use toml::de::DeTable;

use self::demand::Check;
use super::Topology;
use super::parse::Mistake;

/// All mistakes in the meaning of `topology`, in the order of the text that `tree` was read from.
pub(super) fn check(topology: &Topology, tree: &DeTable<'_>) -> Vec<Mistake> {
    let mut check = Check::new(topology, tree);
    check.globals();
    check.exchanges_and_routes();
    check.queues();
    check.steps();
    check.services();
    check.upstreams();
    check.start_order();
    check.templates();
    check.inject();
    check.effects();
    check.event();
    check.ops();
    check.mistakes()
}

impl Check<'_> {
    fn globals(&mut self) {
        let messages = &self.topology.messages;
        self.text("name", &self.topology.name);
        self.text("broker.image", &self.topology.broker.image);
        self.text("database.image", &self.topology.database.image);
        self.text("messages.retry_header", &messages.retry_header);
        self.filled("messages.key", &messages.key);
        for (at, path) in messages.key.iter().enumerate() {
            if path.split('.').any(str::is_empty) {
                let wrong = format!("`{path}` is not a dotted path");
                let help = "write for example `report.seq`";
                self.add(
                    &format!("messages.key.{at}"),
                    wrong,
                    "names with dots in between",
                    help,
                );
            }
        }
    }
}
