//! How the platform is run: scripts, images, and the templates that they are told things by.

use super::demand::Check;
use crate::topology::ops::set_values;
use crate::topology::template::{Address, Values};

impl Check<'_> {
    pub(super) fn ops(&mut self) {
        let Some(ops) = &self.topology.ops else { return };
        for (at, text) in [
            ("ops.image", &ops.image),
            ("ops.registry", &ops.registry),
            ("ops.files", &ops.files),
        ] {
            self.text(at, text);
        }
        self.path("ops.home", &ops.home);
        for (name, script) in ops.scripts() {
            self.text(&format!("ops.{name}.script"), &script.script);
        }
        if let Some(deploy) = &ops.deploy {
            self.filled("ops.deploy.compose", &deploy.compose);
            self.text("ops.deploy.tag", &deploy.tag);
            self.text("ops.deploy.policy", &deploy.policy);
            if deploy.current.is_empty() || deploy.current.contains('/') {
                let wrong = format!("`{}` is not the name of a link", deploy.current);
                let help = "it is in the home, next to the Compose files";
                self.add("ops.deploy.current", wrong, "a name without `/`", help);
            }
            for role in deploy.services.keys() {
                self.service(&format!("ops.deploy.services.{role}"), role);
            }
        }
        if let Some(backup) = &ops.backup {
            for (at, url) in [
                ("object", &backup.object),
                ("metadata", &backup.metadata),
                ("weekly", &backup.weekly),
            ] {
                if !url.starts_with("gs://") {
                    let wrong = format!("`{url}` is not the URL of an object");
                    let help = "the stand-in for the object store knows `gs://BUCKET/OBJECT`";
                    self.add(&format!("ops.backup.{at}"), wrong, "gs://..", help);
                }
            }
            self.path("ops.backup.log", &backup.log);
        }
        self.ops_templates();
    }

    fn ops_templates(&mut self) {
        let Some(ops) = &self.topology.ops else { return };
        let nowhere = Address::default();
        let mut values = Values::new(self.topology, None, &nowhere, &nowhere);
        set_values(self.topology, &mut values, |_| String::new());
        for (name, template) in &ops.env {
            self.template(&format!("ops.env.{name}"), template, &values, None);
        }
        for (name, template) in &ops.secrets {
            self.template(&format!("ops.secrets.{name}"), template, &values, None);
        }
        if let Some(deploy) = &ops.deploy {
            self.template("ops.deploy.internal", &deploy.internal, &values, None);
        }
        for (name, script) in ops.scripts() {
            for (index, template) in script.args.iter().enumerate() {
                self.template(&format!("ops.{name}.args.{index}"), template, &values, None);
            }
            for (variable, template) in &script.env {
                self.template(&format!("ops.{name}.env.{variable}"), template, &values, None);
            }
        }
    }
}
